"""What the estimator is given: settings, texts, gold labels; checked and brought into one form."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from taxotext.data import Corpus
from taxotext.data.frames import as_indicator, is_missing, one_column
from taxotext.data.lists import is_matrix
from taxotext.data.readers import PAUSE
from taxotext.data.records import HALF_CHARACTER, kind, short
from taxotext.errors import ConfigError, DataError
from taxotext.labels import Taxonomy
from taxotext.settings import Settings


def nested(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``{"a__b": 1, "a": {"c": 2}}`` -> ``{"a": {"b": 1, "c": 2}}``; what comes later wins."""
    nested: dict[str, Any] = {}
    for key, value in given.items():
        value = value.model_dump() if isinstance(value, Settings) else value
        *path, last = key.split("__")
        here = nested
        for step in path:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                raise ConfigError(f"{where}: {key}: {step} is {here!r} already; give one of the two.")
        before = here.get(last)
        if isinstance(value, Mapping):
            here[last] = {**(before if isinstance(before, dict) else {}), **copy.deepcopy(dict(value))}
        else:
            here[last] = value
    return nested


def check_corpus_alone(corpus: Corpus, **given: Any) -> None:
    """A corpus brings its own labels, taxonomy and weights."""
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise ConfigError(f"{', '.join(names)}: the corpus {corpus.source!r} has its own; leave it out.")


def corpus_of(
    X: Any,
    y: Any,
    taxonomy: Taxonomy,
    source: str,
    columns: Sequence[str] | None,
    closure: str | None,
    unknown: str,
) -> Corpus:
    """Documents with gold labels in the columns of ``taxonomy``, closed as in training."""
    if isinstance(X, Corpus):
        check_corpus_alone(X, y=y)
        return X.aligned(taxonomy, closure=closure, unknown=unknown)
    y, own = as_indicator(y, None)
    if y is None:
        raise DataError(f"The gold labels of the {source} are missing; give a list of label ids for each text.")
    return Corpus.from_lists(
        checked_texts(X),
        y,
        taxonomy=taxonomy,
        label_ids=(own or columns or taxonomy.ids) if is_matrix(y) else None,
        closure=closure,
        unknown=unknown,
        source=source,
    )


def checked_texts(X: Any) -> list[str]:
    """A list of strings of whole characters; raises DataError naming the first that is none."""
    if isinstance(X, str):
        raise DataError("One text was given where a list of texts is needed; write [text].")
    return [_checked(text, position) for position, text in enumerate(one_column(X, "X"))]


def _checked(text: Any, position: int) -> str:
    if is_missing(text):
        raise DataError(
            f"Text {position} is missing ({text!r}); put an empty text in its place, as with fillna(''): it gets no "
            "labels."
        )
    if not isinstance(text, str):
        raise DataError(f"Text {position} is {kind(text)}, not a string: {short(text)}.")
    if not text.isascii() and HALF_CHARACTER.search(text):
        raise DataError(f"Text {position} has half a character (a lone surrogate): {short(text)}; decode it again.")
    return text


def length(texts: Iterable[str]) -> int | None:
    """Number of texts, None for a stream."""
    return len(texts) if isinstance(texts, Sequence) else None


def parts(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cut a stream into lists of at most ``size``, and where it pauses (:data:`taxotext.data.readers.PAUSE`).

    Raises:
        DataError: as :func:`checked_texts` does.
    """
    part: list[str] = []
    for position, text in enumerate(one_column(texts, "texts")):
        if text is PAUSE.text:
            if part:
                yield part
                part = []
            continue
        part.append(_checked(text, position))
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
