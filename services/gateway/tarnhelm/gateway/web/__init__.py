"""The web page: rendered here, without scripts of others; it reads and decides through the admin service alone."""
