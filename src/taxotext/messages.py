"""Helpers for messages."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with the words that fit it; without ``many``, ``one`` gets an s.

    >>> counted(1, "document"), counted(1234, "document"), counted(2, "label has", "labels have")
    ('1 document', '1,234 documents', '2 labels have')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def ended(sentence: str) -> str:
    """The sentence with a full stop, unless it ends already.

    >>> ended("the text is empty"), ended("Did you mean 'text'?")
    ('the text is empty.', "Did you mean 'text'?")
    """
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."
