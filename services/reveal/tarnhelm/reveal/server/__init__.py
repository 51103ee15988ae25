"""``tarnhelm-reveal serve``: the way back for a hospital, behind an identity provider."""
