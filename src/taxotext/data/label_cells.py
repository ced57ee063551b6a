"""Text that holds several labels: cut at separators, lists as programs print them, identifiers side by side."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html.entities import html5
from typing import Any

import orjson

from taxotext.data.records import BadRecordError, short

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_WRAPPED = re.compile(r"(?:[A-Za-z_][\w.]*)\((.*)\)", re.DOTALL)
_SCALAR = re.compile(r"""\b(?:np|numpy)\.\w+\(\s*((?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^()'"])*)\)""")
_DTYPE = re.compile(r",\s*(?:dtype|name|length)=[^\[\]]*$")
_QUOTED = re.compile(r"""[uU]?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_BARE = re.compile(r"[^,]*", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_CODE = re.compile(r"0\d+")
"""Digits in which zeros count, such as 004 in the Dewey classification."""
_ANGLED = re.compile(r"(?:<[^<>]+>[\s,;|]*)+")
_ADDRESS = r"(?:[A-Za-z][A-Za-z0-9+.-]*://|urn:)"
_ADDRESSES = re.compile(rf"{_ADDRESS}\S+(?:[\s,;|]+{_ADDRESS}\S+)*")
_BETWEEN_ADDRESSES = re.compile(rf"[\s,;|]+(?={_ADDRESS})")

NO_LABEL = frozenset({"none", "null", "nan", "na", "n/a", "<na>"})
"""What programs print for a value that is not there, in small letters."""


def entities(text: str) -> Iterator[re.Match[str]]:
    """The HTML entities in a text, such as ``&amp;``, ``&#39;`` and ``&eacute;``.

    >>> [found[0] for found in entities("Home &amp; R&D; caf&eacute;")]
    ['&amp;', '&eacute;']
    """
    if "&" not in text:
        return iter(())
    return (found for found in _ENTITY.finditer(text) if found[0][1] == "#" or found[0][1:] in html5)


def without_entities(text: str) -> str:
    """The text with a letter in place of each entity, so that signs inside them are not seen."""
    for found in list(entities(text)):
        text = text.replace(found[0], "x")
    return text


def cut(text: str, separator: str) -> list[str]:
    """The pieces between separators, without white space around them; an entity is never cut.

    >>> cut("Home &amp; Kitchen; Garden", ";"), cut("php  upload", " ")
    (['Home &amp; Kitchen', 'Garden'], ['php', 'upload'])
    """
    if not separator.strip() and separator in (" ", "  "):
        return text.split()
    spans = [found.span() for found in entities(text)]
    pieces, start, at = [], 0, 0
    while (found := text.find(separator, at)) >= 0:
        inside = next((end for begin, end in spans if begin < found + len(separator) and found < end), None)
        if inside is not None:
            at = inside
            continue
        pieces.append(text[start:found])
        start = at = found + len(separator)
    return [piece.strip() for piece in (*pieces, text[start:])]


def identifiers(text: str) -> list[str] | None:
    """The identifiers that a cell consists of: each in angle brackets, or addresses side by side; else None.

    >>> identifiers("<http://e.org/a> <http://e.org/b>"), identifiers("<php><upload>"), identifiers("a <b>")
    (['http://e.org/a', 'http://e.org/b'], ['php', 'upload'], None)
    """
    text = text.strip()
    if _ANGLED.fullmatch(text):
        return [piece.strip() for piece in re.findall(r"<([^<>]+)>", text)]
    if _ADDRESSES.fullmatch(text):
        return _BETWEEN_ADDRESSES.split(text)
    return None


@dataclass
class Printed:
    """A list, set, tuple, array or mapping that a program has printed into a cell."""

    items: list[Any] = field(default_factory=list)  # strings, numbers, truth values, and None for what was not there
    values: list[Any] = field(default_factory=list)  # of a mapping, beside its keys in `items`
    bare: bool = False  # whether an item is a word without quotes, so that the brackets may belong to a label


def looks_printed(text: str) -> bool:
    """Whether a cell begins and ends as a printed list does.

    >>> [looks_printed(text) for text in ("['a', 'b']", "[x];y", "array(['a'])", "Paris (city)")]
    [True, False, True, False]
    """
    inner = _unwrapped(text.strip())
    return bool(inner) and _BRACKETS.get(inner[0]) == inner[-1] and len(inner) > 1


def parse_printed(text: str) -> Printed | None:
    r"""The items of a list that JSON, Python, numpy or pandas has printed; None when it is none.

    Raises:
        BadRecordError: it was cut short (``...``), so that labels are lost.

    >>> parse_printed("['a' 'b, c']").items, parse_printed("[0 2]").items, parse_printed("{'a', 'b'}").items
    (['a', 'b, c'], [0, 2], ['a', 'b'])
    >>> parse_printed("[004, 510]").items
    ['004', 510]
    >>> parse_printed("[np.str_('a'), None]").items, parse_printed("(php, file upload)")
    (['a', None], Printed(items=['php', 'file upload'], values=[], bare=True))
    """
    if not looks_printed(text):
        return None
    with suppress(orjson.JSONDecodeError):
        value = orjson.loads(text)
        if isinstance(value, list):
            return Printed(value)
        return Printed(list(value), list(value.values()))
    inner = _SCALAR.sub(r"\1", _unwrapped(text.strip()))[1:-1].strip()
    found, at = Printed(), 0
    while at < len(inner):
        quoted = _QUOTED.match(inner, at)
        if quoted is not None:
            item: Any = _unquoted(quoted[1])
            if item is None:
                return None
            at = quoted.end()
        else:
            word = _BARE.match(inner, at)
            assert word is not None  # it matches nothing at least
            if any(sign in word[0] for sign in '[]{}()"'):
                return None
            items = [_bare(piece) for piece in _words(word[0])]
            if any(piece is Ellipsis for piece in items):
                raise BadRecordError(f"the list {short(text)} was cut short when it was printed; export it in full")
            found.bare = found.bare or any(isinstance(piece, str) for piece in items)
            found.items += items
            item, at = None, word.end()
        rest = inner[at:].lstrip()
        at = len(inner) - len(rest)
        if quoted is not None:
            found.items.append(item)
            if rest.startswith(":"):
                value = re.match(r":\s*([^,\"'\[\]{}]+)", rest)
                if value is None:
                    return None
                found.values.append(_bare(value[1].strip()))
                rest = rest[value.end() :]
            elif rest and rest[0] not in ",'\"" and rest[:2].lower() not in ("u'", 'u"', "no", "na", ".."):
                return None
        if rest.startswith(","):
            rest = rest[1:].lstrip()
        at = len(inner) - len(rest)
    if found.values and len(found.values) != len(found.items):
        return None
    return found


def _unwrapped(text: str) -> str:
    """``array(['a'], dtype=object)`` -> ``['a']``; ``set()`` -> ``()``."""
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped is None:
        return text
    inner = _DTYPE.sub("", wrapped[1].strip()).strip()
    if not inner and text.split("(")[0] in ("set", "frozenset", "list", "tuple"):
        return "()"
    return inner if inner[:1] in _BRACKETS else text


def _unquoted(text: str) -> str | None:
    try:
        value = ast.literal_eval(text)  # one string, by the pattern that found it
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, str) else None


def _words(text: str) -> list[str]:
    """Bare items between two commas: numbers side by side, else one label, or several at ``;`` or ``|``."""
    text = text.strip()
    pieces = text.split()
    if len(pieces) > 1 and all(_NUMBER.fullmatch(piece) or piece in ("...", "nan") for piece in pieces):
        return pieces
    for separator in ";|":
        if separator in text:
            return [piece for piece in cut(text, separator) if piece]
    return [text] if text else []


def _bare(text: str) -> Any:
    """The value of an item without quotes."""
    if text in ("...", "…"):
        return Ellipsis
    if text.lower() in NO_LABEL:
        return None
    if text in ("True", "true", "False", "false"):
        return text in ("True", "true")
    if _NUMBER.fullmatch(text) and not _CODE.fullmatch(text):
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    return text
