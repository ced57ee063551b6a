"""One page about a model or several: what they get right and wrong, and why."""
