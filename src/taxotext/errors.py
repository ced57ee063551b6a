"""Mistakes of the user, as sentences.

Every message says what was wrong (with the value), where (``file:line`` or a key path) and what to do. The command
line prints the sentence and exits with code 2; a traceback appears only with ``--debug``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

SHOWN_PROBLEMS = 20
"""How many problems a message lists before it only counts the rest."""


class TaxotextError(Exception):
    """A mistake that the user can fix.

    Args:
        message: one sentence.
        problems: further sentences, one for each place; all are kept in ``problems``, the first
            :data:`SHOWN_PROBLEMS` are shown.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.message = message
        self.problems = tuple(problems)
        lines = [message, *(f"  - {problem}" for problem in self.problems[:SHOWN_PROBLEMS])]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"  ... and {len(self.problems) - SHOWN_PROBLEMS} more")
        super().__init__("\n".join(lines))


class ConfigError(TaxotextError):
    """A setting is unknown, missing or has an impossible value."""


class DataError(TaxotextError):
    """A corpus cannot be read or does not fit the task."""


class TaxonomyError(TaxotextError):
    """A taxonomy file is not a directed acyclic graph of labels, or cannot be read."""


class LabelError(TaxotextError):
    """A label is not one of the taxonomy's."""


class ModelFolderError(TaxotextError):
    """A model folder is missing, damaged, of another format version, or would be overwritten."""


class TrainingError(TaxotextError):
    """A training cannot go on; what it has done is kept."""


class HubError(TaxotextError):
    """The Hugging Face hub does not have what was asked for, refuses it, or cannot be reached."""


class MissingExtraError(TaxotextError):
    """An optional package is needed; the message names the extra that installs it."""


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the candidate closest to ``word``, or an empty string.

    >>> nearest("bret", ["bert", "linear"])
    " Did you mean 'bert'?"
    """
    found = get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""
