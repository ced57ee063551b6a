"""Bytes of old releases as text: encodings, entities, markup that is nearly XML."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import orjson

from taxotext.data.catalogue.entries import Findings
from taxotext.errors import DataError

NOT_UTF8 = "records that are not UTF-8, read as Latin-1"
CONTROLS = "records with control characters, which were dropped"

_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6}));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def decode(data: bytes, findings: Findings) -> str:
    r"""Text of bytes in UTF-8, UTF-16 (with a byte order mark) or else Latin-1; lines end with ``\n``."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            findings.add(NOT_UTF8)
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def tidy(text: str, findings: Findings) -> str:
    """Text without control characters and outer white space."""
    cleaned, dropped = _CONTROL.subn("", text)
    if dropped:
        findings.add(CONTROLS)
    return cleaned.strip()


def unescape(text: str) -> str:
    """Replace the five entities of XML and numbers, once; anything else after an ampersand stays as it is.

    >>> unescape("&lt;AMR&gt; R&amp;D &amp;lt; &#65;T&notation")
    '<AMR> R&D &lt; AT&notation'
    """
    return _ENTITY.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code <= 0x10FFFF else ""


def element(tag: str, markup: str) -> str | None:
    """The content between the first ``<tag ...>`` and the next ``</tag>``; None when there is no such element."""
    match = re.search(rf"<{tag}(?:\s[^>]*)?>(.*?)</{tag}\s*>", markup, re.DOTALL | re.IGNORECASE)
    return match[1] if match else None


def elements(tag: str, markup: str) -> list[str]:
    """The content of each element of this name."""
    return re.findall(rf"<{tag}(?:\s[^>]*)?>(.*?)</{tag}\s*>", markup, re.DOTALL | re.IGNORECASE)


def attributes(markup: str) -> dict[str, str]:
    """The quoted attributes of a start tag, their names in capitals."""
    return {name.upper(): unescape(value) for name, value in re.findall(r'([\w:.-]+)\s*=\s*"([^"]*)"', markup)}


def parse_xml(data: bytes, where: str) -> ElementTree.Element:
    """The root of an XML document; its own encoding declaration is followed.

    Raises:
        DataError: naming the file and the line.
    """
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"{where}: is not well-formed XML ({error}); fetch the file again.") from None


def joined(root: ElementTree.Element, path: str) -> str:
    """The texts of all elements of this path, each with single spaces, joined with a space.

    Joined without one, as some published scripts do, the last word of a paragraph fuses with the first of the next.
    """
    pieces = (" ".join("".join(found.itertext()).split()) for found in root.iterfind(path))
    return " ".join(piece for piece in pieces if piece)


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object of a line or a file.

    Raises:
        DataError: naming the place.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:  # Python's own reader takes halves of characters (lone surrogates), which some releases hold
            value = _whole_characters(json.loads(data.decode("utf-8", errors="replace")))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: is not valid JSON ({error}); fetch the file again.") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: holds {type(value).__name__} where a JSON object is expected; is this the release?")
    return value


def _whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, list):
        return [_whole_characters(entry) for entry in value]
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(entry) for key, entry in value.items()}
    return value


def numbered(lines: Iterator[bytes], where: str) -> Iterator[tuple[str, bytes]]:
    """(``file:line``, line without its end) of each line that is not blank."""
    for number, line in enumerate(lines, 1):
        line = line.rstrip(b"\r\n")
        if line.strip():
            yield f"{where}:{number}", line
