"""Metrics of multi-label predictions: of label sets, rankings, probabilities and the taxonomy; and how sure they are.

Everything takes plain arrays (no taxonomy, no corpus, no torch), counts in int64 and can be fed in batches.
docs/reference/metrics.md gives each metric's definition, edge cases and JSON key.
"""

from taxotext.metrics.average_precision import AveragePrecision
from taxotext.metrics.calibration import CalibrationMetrics
from taxotext.metrics.candidates import CandidateRecall
from taxotext.metrics.evaluation import Evaluation, evaluate
from taxotext.metrics.frequency import FrequencyBins
from taxotext.metrics.hierarchical import HierarchicalMetrics
from taxotext.metrics.hierarchical_curve import HierarchicalCurve
from taxotext.metrics.propensity import PROPENSITIES, PropensityMetrics, inverse_propensities
from taxotext.metrics.ranking import RankingMetrics
from taxotext.metrics.selective import SelectiveMetrics, risk_coverage
from taxotext.metrics.sets import PER_LABEL, PER_LEVEL, SetMetrics, per_label, per_level
from taxotext.metrics.significance import (
    Comparison,
    Interval,
    approximate_randomisation,
    benjamini_hochberg,
    bootstrap_interval,
    holm,
    paired_bootstrap,
)
from taxotext.metrics.sparse import Sets, close_upward, violations, widen

__all__ = [
    "PER_LABEL",
    "PER_LEVEL",
    "PROPENSITIES",
    "AveragePrecision",
    "CalibrationMetrics",
    "CandidateRecall",
    "Comparison",
    "Evaluation",
    "FrequencyBins",
    "HierarchicalCurve",
    "HierarchicalMetrics",
    "Interval",
    "PropensityMetrics",
    "RankingMetrics",
    "SelectiveMetrics",
    "SetMetrics",
    "Sets",
    "approximate_randomisation",
    "benjamini_hochberg",
    "bootstrap_interval",
    "close_upward",
    "evaluate",
    "holm",
    "inverse_propensities",
    "paired_bootstrap",
    "per_label",
    "per_level",
    "risk_coverage",
    "violations",
    "widen",
]
