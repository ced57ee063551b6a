"""Files of tokenizers that somebody else may have written: checked before the library believes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taxotext.errors import ModelFolderError, TaxotextError

STEPS = 64
"""Steps of a tokenizer at most: normalizers, pre-tokenizers and the like. Those of public models have ten."""
DEEPEST = 16
"""Steps within steps at most."""
LONGEST = 2_000
"""Characters of a pattern, and of what replaces it, at most."""
GROWTH = 64.0
"""How many times as long a text may become at most by what is replaced in it."""
PIECES = 256
"""Parts of a template, and special tokens in it, at most."""
LARGEST_ID = 20_000_000
"""Token ids are below it: no public vocabulary comes near."""
PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_REPEATED_GROUP = re.compile(r"[+*}][^()\[\]]*\)[+*{]")
"""A group with a repetition in it that is itself repeated: such a pattern may search for hours."""


def check_tokenizer(content: Mapping[str, Any], path: Path) -> None:
    """Refuse a tokenizer that would take unbounded time or memory.

    Args:
        content: of ``tokenizer.json``.

    Raises:
        ModelFolderError: it has too many steps, one that makes texts much longer, or ids that no vocabulary has.
    """
    fault = _fault(content)
    if fault is not None:
        raise ModelFolderError(f"{path}: {fault}; save the model again.")


@contextmanager
def library_errors(path: Path | str = "tokenizer.json") -> Iterator[None]:
    """Turn whatever the library of tokenizers raises, its panics included, into a ModelFolderError that names a file.

    The library raises bare exceptions for every kind of damage, and a panic of its code is no ``Exception``.
    """
    try:
        yield
    except TaxotextError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ModelFolderError(f"{path}: is not a sound tokenizer ({error}); save the model again.") from error


def _fault(content: Mapping[str, Any]) -> str | None:
    steps: list[Mapping[str, Any]] = []
    for part in PARTS:
        fault = _collect(content.get(part), steps, 1)
        if fault is not None:
            return fault
    growth = 1.0
    for step in steps:
        replaced = step.get("content", step.get("prepend", ""))
        texts = [text for text in (replaced, *_patterns(step)) if isinstance(text, str)]
        if any(len(text) > LONGEST for text in texts):
            return f"a pattern or its replacement has more than {LONGEST:,} characters"
        if any(_REPEATED_GROUP.search(text) for text in _patterns(step) if isinstance(text, str)):
            return "a pattern repeats a group that repeats something, which may take for ever"
        if step.get("type") == "Replace" and isinstance(replaced, str):
            pattern = step.get("pattern")
            literal = pattern.get("String") if isinstance(pattern, Mapping) else None
            growth *= max(1.0, len(replaced) / max(1, len(literal) if isinstance(literal, str) else 1))
        if any(isinstance(value, (list, dict)) and len(value) > PIECES for value in step.values()):
            return f"a step of the tokenizer has more than {PIECES} parts"
    if growth > GROWTH:
        return f"its normalizers make a text {growth:,.0f} times as long; {GROWTH:.0f} times is the limit"
    largest = max(_ids(content), default=0)
    if largest >= LARGEST_ID:
        return f"the token id {largest} is beyond {LARGEST_ID:,}"
    return None


def _collect(value: Any, steps: list[Mapping[str, Any]], depth: int) -> str | None:
    """Gather the steps that a part consists of; what is wrong with their number."""
    if isinstance(value, list):
        for one in value[: STEPS + 1]:
            fault = _collect(one, steps, depth)
            if fault is not None:
                return fault
        return f"a list of steps has more than {STEPS}" if len(value) > STEPS else None
    if not isinstance(value, Mapping):
        return None
    steps.append(value)
    if len(steps) > STEPS or depth > DEEPEST:
        return f"the tokenizer has more than {STEPS} steps, or more than {DEEPEST} within each other"
    inner = ("normalizers", "pretokenizers", "processors", "decoders")
    for key in inner:
        fault = _collect(value.get(key), steps, depth + 1)
        if fault is not None:
            return fault
    return None


def _patterns(step: Mapping[str, Any]) -> list[Any]:
    pattern = step.get("pattern")
    return [pattern.get("Regex")] if isinstance(pattern, Mapping) else []


def _ids(content: Mapping[str, Any]) -> Iterator[int]:
    """All ids that a file names: of the vocabulary, of added tokens, of templates and of the padding."""
    model, added, padding = (content.get(key) for key in ("model", "added_tokens", "padding"))
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(vocabulary, Mapping):
        yield from (value for value in vocabulary.values() if type(value) is int)
    if isinstance(added, list):
        yield from (one["id"] for one in added if isinstance(one, Mapping) and type(one.get("id")) is int)
    if isinstance(padding, Mapping) and type(padding.get("pad_id")) is int:
        yield padding["pad_id"]
