"""Who is there: logging in at a hospital's identity provider (OpenID Connect), and checking what it says."""
