"""Systems of one binary classifier for each label, and their training along the taxonomy."""
