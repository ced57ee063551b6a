"""What systems are composed of: base classes, settings, and parts that are chosen by name."""
