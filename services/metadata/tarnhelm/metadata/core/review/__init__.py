"""Reviews of a recipe against the standard, before it meets a file (:func:`checks.review`)."""
