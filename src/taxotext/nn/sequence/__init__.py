"""Label sequences: a recurrent decoder over the tokens of a document, beam search, and the order along a taxonomy."""
