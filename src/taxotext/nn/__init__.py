"""Building blocks: plain numbers and built parts in, tensors out; no configuration enters here."""
