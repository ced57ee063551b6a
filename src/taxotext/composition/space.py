"""Search spaces over settings: typed, checked against the settings class before anything runs.

A system declares its space beside its settings, as :attr:`taxotext.composition.base.System.search_space`: key path to
``"low..high"``, ``"low..high:log"``, a list of values, or :class:`Around` its default.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from taxotext.errors import ConfigError, nearest
from taxotext.messages import counted
from taxotext.settings import Settings, parse_settings

NEVER_SEARCHED = {
    "seed": "the seed is not a setting to choose by its score",
    "validation": "it decides on which documents trials are compared",
    "decoding": "thresholds are tuned in every trial",
    "runtime": "it changes where numbers are computed, not which",
    "model": "a search is of one system",
    "data": "trials are compared on the same data",
}
DIGITS = 4
"""Significant digits of the numbers that are tried: nobody needs more, and they are read in tables."""


@dataclass(frozen=True)
class Around:
    """From default / factor to default * factor, on a logarithmic scale."""

    factor: float


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``whole`` ones only, or evenly spread in their logarithm."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}{':log' if self.log else ''}"

    def rounded(self, value: float) -> float:
        """``value`` with the digits that are tried, inside the bounds."""
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def holds(self, value: Any) -> bool:
        """Whether ``value`` can be tried."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high and (not self.whole or float(value).is_integer())


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"[{', '.join(str(value) for value in self.values)}]"

    def holds(self, value: Any) -> bool:
        """Whether ``value`` can be tried."""
        return any(same(value, known) for known in self.values)


Dimension = Range | Choice
Space = Mapping[str, Dimension]
"""Key path to what is tried there, in a fixed order."""


def build_space(
    settings: type[Settings],
    declared: Mapping[str, Any],
    given: Mapping[str, Any],
    asked: Mapping[str, Any],
    *,
    where: str,
) -> dict[str, Dimension]:
    """Check and complete a search space.

    Args:
        settings: class of the settings of the system.
        declared: the space that the system declares; keys that are fixed, that ``asked`` has too, or that a chosen
            part does not have are left out.
        given: settings that are the same in all trials, nested.
        asked: the user's part of the space, nested or by key path.
        where: file or place, named first in an error.

    Returns:
        The space, declared keys first.

    Raises:
        ConfigError: with everything that is wrong: unknown keys, bounds outside of what a setting takes, values of a
            wrong type, keys that are fixed and searched, an empty space.
    """
    base = parse_settings(settings, given, where)
    fixed, wanted = dict(flat(given, base)), dict(flat(asked, base))
    space: dict[str, Dimension] = {}
    problems: list[str] = []
    for key, spec in declared.items():
        if key in fixed or key in wanted or field_at(base, key) is None:
            continue
        space[key] = _dimension(base, key, spec)
    for key, spec in wanted.items():
        try:
            _check_key(base, key, fixed)
            dimension = _dimension(base, key, spec)
            _check_values(settings, given, key, dimension)
            space[key] = dimension
        except ConfigError as error:
            problems += error.problems or (error.message,)
    if problems:
        raise ConfigError(f"{where}: {counted(len(problems), 'problem')} in the search space.", problems)
    if not space:
        raise ConfigError(f"{where}: the search space is empty; name keys, such as --search KEY=LOW..HIGH.")
    return space


def with_values(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with ``values`` (by key path) laid over; nothing of ``given`` is changed."""
    result: dict[str, Any] = dict(given)
    for key, value in values.items():
        *steps, last = key.split(".")
        here = result
        for step in steps:
            inner = here.get(step)
            here[step] = dict(inner) if isinstance(inner, Mapping) else {}
            here = here[step]
        here[last] = list(value) if isinstance(value, tuple) else value
    return result


def start(space: Space, base: Settings) -> dict[str, Any] | None:
    """The settings as they are, where the space has them all; else None."""
    values = {key: plain(_value(base, key)) for key in space}
    return values if all(space[key].holds(value) for key, value in values.items()) else None


def flat(nested: Mapping[str, Any], base: BaseModel | None = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """Key path and value of what is not a section of ``base``; keys may be paths already."""
    for name, value in nested.items():
        key = f"{path}{name}"
        is_section = isinstance(value, Mapping) and (base is None or not _is_leaf(base, key))
        if is_section:
            yield from flat(value, base, f"{key}.")
        else:
            yield key, value


def same(one: Any, other: Any) -> bool:
    """Equal as settings: lists and tuples are the same, true and 1 are not."""
    one, other = plain(one), plain(other)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples are lists."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def field_at(base: BaseModel, key: str) -> Any:
    """The annotation of the setting at ``key``, or None where the chosen parts have none."""
    *steps, last = key.split(".")
    here: Any = base
    for step in steps:
        here = getattr(here, step, None) if isinstance(here, BaseModel) and step in type(here).model_fields else None
    if not isinstance(here, BaseModel) or last not in type(here).model_fields:
        return None
    return type(here).model_fields[last].annotation


def key_paths(base: BaseModel, path: str = "") -> Iterator[str]:
    """Key paths of all settings that are not sections."""
    for name in type(base).model_fields:
        value = getattr(base, name)
        if isinstance(value, BaseModel):
            yield from key_paths(value, f"{path}{name}.")
        else:
            yield path + name


def _is_leaf(base: BaseModel, key: str) -> bool:
    return field_at(base, key) is not None and not isinstance(_value(base, key), BaseModel)


def _value(base: BaseModel, key: str) -> Any:
    here: Any = base
    for step in key.split("."):
        here = getattr(here, step)
    return here


def _check_key(base: BaseModel, key: str, fixed: Mapping[str, Any]) -> None:
    top = key.partition(".")[0]
    if top in NEVER_SEARCHED:
        raise ConfigError(f"{key}: cannot be searched: {NEVER_SEARCHED[top]}; leave it out.")
    if field_at(base, key) is None:
        known = [path for path in key_paths(base) if path.partition(".")[0] not in NEVER_SEARCHED]
        last = key.rpartition(".")[2]
        hint = nearest(key, known) or nearest(last, [path.rpartition(".")[2] for path in known])
        found = hint.split("'")[1] if hint else ""
        path = next((path for path in known if path == found or path.endswith(f".{found}")), "") if found else ""
        raise ConfigError(f"{key}: unknown key." + (f" Did you mean {path!r}?" if path else ""))
    if isinstance(_value(base, key), BaseModel):
        inner = ", ".join(f"{key}.{name}" for name in type(_value(base, key)).model_fields)
        raise ConfigError(f"{key}: is a section; search its keys: {inner}.")
    if key in fixed:
        raise ConfigError(f"{key}: is fixed (to {fixed[key]!r}) and searched; leave one of the two out.")


def _dimension(base: BaseModel, key: str, spec: Any) -> Dimension:
    if isinstance(spec, Around):
        value = float(_value(base, key))
        return Range(_short(value / spec.factor), _short(value * spec.factor), log=True)
    if isinstance(spec, (list, tuple)):
        return _choice(key, list(spec))
    if isinstance(spec, str) and ".." in spec:
        return _range(key, spec, _numeric(field_at(base, key)))
    raise ConfigError(f"{key}: {spec!r} is not a search space; write low..high, low..high:log, or a list [a, b].")


def _choice(key: str, values: list[Any]) -> Choice:
    if len(values) < 2:
        raise ConfigError(f"{key}: a list of values to search needs two at least; set {key}=... to fix one.")
    for position, value in enumerate(values):
        if any(same(value, before) for before in values[:position]):
            raise ConfigError(f"{key}: {value!r} is duplicated in the list; leave one out.")
    return Choice(tuple(plain(value) for value in values))


def _range(key: str, spec: str, kinds: frozenset[type]) -> Range:
    bounds, colon, scale = spec.partition(":")
    texts = [part.strip() for part in bounds.split("..")]
    if len(texts) != 2 or (colon and scale.strip() != "log"):
        raise ConfigError(f"{key}: {spec!r} is not a range; write low..high or low..high:log.")
    if not kinds:
        raise ConfigError(f"{key}: takes no numbers; give a list of values to search, [a, b].")
    try:
        low, high = (float(text) for text in texts)
    except ValueError:
        raise ConfigError(f"{key}: the bounds of {spec!r} are not numbers.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"{key}: {spec!r} must go from a lower number to a higher one.")
    if colon and low <= 0:
        raise ConfigError(f"{key}: a logarithmic range starts above 0, not at {low:g}.")
    whole = kinds == {int}
    if whole and not (low.is_integer() and high.is_integer()):
        raise ConfigError(f"{key}: takes whole numbers; the bounds of {spec!r} must be whole.")
    return Range(int(low) if whole else low, int(high) if whole else high, bool(colon), whole)


def _check_values(settings: type[Settings], given: Mapping[str, Any], key: str, dimension: Dimension) -> None:
    """Each value, or both bounds, must be taken by the settings class."""
    values = (dimension.low, dimension.high) if isinstance(dimension, Range) else dimension.values
    problems: list[str] = []
    for value in values:
        try:
            parse_settings(settings, with_values(given, {key: value}), "")
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigError("", problems)


def _numeric(annotation: Any) -> frozenset[type]:
    """Which kinds of numbers a setting takes by itself, not inside lists or mappings."""
    if get_origin(annotation) in {Union, UnionType}:
        return frozenset().union(*(_numeric(member) for member in get_args(annotation)))
    if get_origin(annotation) is Annotated:
        return _numeric(get_args(annotation)[0])
    return frozenset({annotation}) if annotation in (int, float) else frozenset()


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
