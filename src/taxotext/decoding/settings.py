"""How scores become label sets: the settings kept in ``decoding.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from taxotext.settings import Settings, parse_settings

Threshold = Annotated[float, Field(gt=0, lt=1)]
Consistency = Literal["none", "up", "down"]
Source = Literal["auto", "system", "threshold", "expected_f1"]
CalibrationMethod = Literal["none", "temperature", "isotonic"]
CalibrationScope = Literal["all", "label"]
Temperature = Annotated[float, Field(ge=0.01, le=100)]
Breakpoint = tuple[float, float]
"""A score and the probability that it stands for."""


def _rising(points: tuple[Breakpoint, ...]) -> tuple[Breakpoint, ...]:
    """Scores must rise and probabilities must not fall, or the correction would turn the order of scores round."""
    if not points:
        return points
    if len(points) < 2 or points[0][0] != 0 or points[-1][0] != 1:
        raise ValueError("the first score must be 0 and the last one 1; run `taxotext tune` again")
    before = points[0]
    if not (before[1] >= 0 and points[-1][1] <= 1):
        raise ValueError("a probability lies outside 0 to 1; run `taxotext tune` again")
    for point in points[1:]:
        if point[0] <= before[0] or point[1] < before[1]:
            raise ValueError(f"{list(point)} follows {list(before)}: scores must rise, probabilities must not fall")
        before = point
    return points


Breakpoints = Annotated[tuple[Breakpoint, ...], AfterValidator(_rising)]


class Decoding(Settings):
    """How a decoder turns the probabilities of all labels into a label set.

    A label passes when its probability is **greater than** its threshold (a probability equal to it does not
    pass). The threshold of a label is its own in ``label_thresholds``, else that of its level, else
    ``threshold``. :class:`~taxotext.decoding.Decoder` documents the order in which the settings act.

    Build one with :meth:`from_dict` where the values come from a user: it reports all problems in one
    ``ConfigError``. The constructor raises pydantic's ``ValidationError`` (a ``ValueError``) with the same
    sentences.

    >>> Decoding().threshold
    0.5
    >>> Decoding.from_dict({"threshold": 1.5, "topk": 3})
    Traceback (most recent call last):
    ...
    taxotext.errors.ConfigError: decoding: 2 problems in the configuration.
      - threshold: input should be less than 1 (got 1.5).
      - topk: unknown key. Did you mean 'top_k'?
    """

    source: Source = Field(
        default="auto",
        description="what decides on label sets: system (one that decides on them itself, such as by beam search), "
        "threshold (thresholds and top_k), auto (the system where it does, else thresholds), expected_f1 (the closed "
        "set of greatest expected hierarchical F1; a score equal to its threshold counts as probability 0.5)",
    )
    threshold: Threshold | None = Field(
        default=0.5,
        description="a label is predicted when its probability is greater; null: top_k alone decides",
    )
    level_thresholds: tuple[Threshold, ...] | None = Field(
        default=None,
        description="one threshold for each level of the taxonomy, top level first; replaces threshold",
    )
    label_thresholds: dict[str, Threshold] = Field(
        default_factory=dict, description="thresholds of single labels by id; stronger than the other two"
    )
    top_k: int | None = Field(default=None, ge=1, description="predict at most this many labels, the best ones")
    never_empty: bool = Field(default=False, description="predict the best label when none passes")
    include: tuple[str, ...] | None = Field(
        default=None, description="only these label ids may be predicted; null: all"
    )
    exclude: tuple[str, ...] = Field(default=(), description="these label ids are never predicted")
    consistency: Consistency = Field(
        default="none",
        description="none; up: no label scores below its descendants; down: none scores above its ancestors",
    )
    calibration: CalibrationMethod = Field(
        default="none",
        description="none; temperature or isotonic: probabilities are corrected before anything else; fitted by tune",
    )
    calibration_by: CalibrationScope = Field(
        default="all", description="one correction for all labels, or one for each label that has enough documents"
    )
    temperature: Temperature = Field(
        default=1.0, description="logits are divided by it (calibration temperature), found by tune"
    )
    label_temperatures: dict[str, Temperature] = Field(
        default_factory=dict, description="temperatures of single labels by id, found by tune"
    )
    breakpoints: Breakpoints = Field(
        default=(),
        description="[score, probability] pairs, straight lines between them (calibration isotonic), found by tune",
    )
    label_breakpoints: dict[str, Breakpoints] = Field(
        default_factory=dict, description="breakpoints of single labels by id, found by tune"
    )
    tuned_on: str | None = Field(
        default=None, description="the data that the thresholds were tuned on; null: not tuned"
    )
    metric: str | None = Field(default=None, description="the metric that the thresholds were tuned for")

    @field_validator("level_thresholds")
    @classmethod
    def _some_levels(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not value:
            raise ValueError("is empty: give one threshold for each level, or null")
        return value

    @field_validator("include")
    @classmethod
    def _some_included(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not value:
            raise ValueError("is empty: nothing could be predicted; name labels, or null for all")
        return value

    @field_validator("exclude")
    @classmethod
    def _not_both(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = sorted(set(value) & set(info.data.get("include") or ()))
        if both:
            raise ValueError(f"{both[0]!r} is in include and in exclude: keep it in one of them")
        return value

    @model_validator(mode="after")
    def _has_a_rule(self) -> Decoding:
        given = (self.threshold, self.level_thresholds, self.top_k)
        if all(one is None for one in given) and self.source not in {"system", "expected_f1"}:
            raise ValueError("nothing decides what is predicted: set threshold, level_thresholds or top_k")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values, all keys present."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "decoding") -> Decoding:
        """Return the settings of a mapping such as :meth:`to_dict` gives; missing keys take their defaults.

        Args:
            values: setting by key.
            where: what to call the place (a file name) in an error.

        Raises:
            ConfigError: one sentence for each key that is unknown or has an impossible value.
        """
        return parse_settings(cls, values, where)
