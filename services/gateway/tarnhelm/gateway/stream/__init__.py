"""The stream: from a door to a verified result, among many processes, any of which may die at any moment."""
