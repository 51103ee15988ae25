"""One YAML file for a deployment: read, checked, and made into the parts that it describes."""
