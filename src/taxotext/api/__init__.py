"""Taxotext's front door: :class:`Classifier` and :func:`load`."""

from taxotext.api.classifier import Classifier, load

__all__ = ["Classifier", "load"]
