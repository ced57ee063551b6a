"""Text encoders: token ids and mask to :class:`~taxotext.nn.features.TextFeatures`."""
