"""Scores to label sets: thresholds, top-k, consistency with the taxonomy, and tuning of the thresholds.

numpy and scipy only: a decoder is tested, and used on stored scores, without torch.
"""

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.calibration import Calibration, CalibrationReport, fit_calibration
from taxotext.decoding.consistency import Propagation
from taxotext.decoding.decoder import Decoder
from taxotext.decoding.expected import ExpectedF1
from taxotext.decoding.intercepts import HIERARCHICAL_F1, tune_expected
from taxotext.decoding.predictions import Predictions
from taxotext.decoding.ranking import top_k
from taxotext.decoding.settings import Consistency, Decoding
from taxotext.decoding.shapes import SHRINK, SHRINK_GRID, UNTUNED
from taxotext.decoding.tuning import TuningReport, sparse_scores, tune

__all__ = [
    "HIERARCHICAL_F1",
    "SHRINK",
    "SHRINK_GRID",
    "UNTUNED",
    "Calibration",
    "CalibrationReport",
    "Consistency",
    "Decoder",
    "Decoding",
    "ExpectedF1",
    "Predictions",
    "Propagation",
    "ScoreBlock",
    "TuningReport",
    "fit_calibration",
    "sparse_scores",
    "top_k",
    "tune",
    "tune_expected",
]
