"""Metrics of multi-label predictions over sparse sets: set, label, ranking and hierarchical.

Everything takes plain arrays (no taxonomy, no corpus, no torch), counts in int64 and can be fed in batches.
docs/reference/metrics.md gives each metric's definition, edge cases and JSON key.
"""

from taxotext.metrics.evaluation import Evaluation, evaluate
from taxotext.metrics.hierarchical import HierarchicalMetrics
from taxotext.metrics.ranking import RankingMetrics
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
from taxotext.metrics.sparse import Sets, close_upward, identity_closure, violations, widen

__all__ = [
    "PER_LABEL",
    "PER_LEVEL",
    "Comparison",
    "Evaluation",
    "HierarchicalMetrics",
    "Interval",
    "RankingMetrics",
    "SetMetrics",
    "Sets",
    "approximate_randomisation",
    "benjamini_hochberg",
    "bootstrap_interval",
    "close_upward",
    "evaluate",
    "holm",
    "identity_closure",
    "paired_bootstrap",
    "per_label",
    "per_level",
    "violations",
    "widen",
]
