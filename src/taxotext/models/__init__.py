"""One file for each system, the parts they are composed of, and the registry that finds them by name."""
