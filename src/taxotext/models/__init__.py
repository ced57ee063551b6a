"""One file for each system, and the registry that finds them by name."""
