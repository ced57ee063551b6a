"""Which format a corpus is of, where the suffix does not say it: a look at the first line, or into the folder."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import orjson

LOOKED_AT = 2**22
"""Bytes of the first line that are looked at."""

_URIS = re.compile(rb"(?:<[^<>\s]+>\s*)+")
_HEADER = re.compile(rb"\d+ +\d+ +\d+ *")
_FEATURES = re.compile(rb"(?:[^\s:]*\s+)?\d+:\S+(?:\s.*)?", re.DOTALL)


def folder_format(path: Path) -> str | None:
    """The format of a folder that holds a corpus, None when it seems to hold none.

    ``dataset``: saved by Hugging Face ``datasets``; ``parquet``: files ``*.parquet``, the parts of one table;
    ``annif-folder``: texts ``*.txt``, each with its subjects beside it.
    """
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError:
        return None
    if names & {"state.json", "dataset_dict.json"}:
        return "dataset"
    suffixes = {Path(name).suffix for name in names}
    return "parquet" if ".parquet" in suffixes else "annif-folder" if ".txt" in suffixes else None


def sniff(path: Path, suffix: str, compressed: bool) -> str | None:
    """Look at the first line of a file with one of the suffixes ``tsv``, ``jsonl``, ``json`` and ``txt``.

    Returns:
        ``annif-tsv`` (a text, a TAB, URIs in angle brackets), ``annif-jsonl`` (an object with ``subjects``),
        ``xc-json`` (an object with ``target_ind``), ``svmlight`` (three numbers, or ``labels index:value ...``),
        ``libmultilabel`` (columns without a header); None for anything else, also for a file that cannot be read.
    """
    line = _first_line(path, compressed)
    if suffix == "tsv":
        cells = line.split(b"\t")
        return "annif-tsv" if len(cells) == 2 and _URIS.fullmatch(cells[1].strip()) else None
    if suffix in ("jsonl", "json"):
        return _of_object(line)
    if suffix == "txt":
        if _HEADER.fullmatch(line) or _FEATURES.fullmatch(line):
            return "svmlight"
        return "libmultilabel" if 1 <= line.count(b"\t") <= 2 else None
    return None


def _of_object(line: bytes) -> str | None:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or "labels" in value:
        return None
    if isinstance(value.get("target_ind"), list):
        return "xc-json"
    subjects = value.get("subjects")
    if not isinstance(subjects, list) or not all(isinstance(subject, dict) for subject in subjects):
        return None
    named = any("uri" in subject or "label" in subject for subject in subjects)
    return "annif-jsonl" if named or (not subjects and "document_id" in value) else None


def _first_line(path: Path, compressed: bool) -> bytes:
    """The first line that is not blank; nothing when the file cannot be read: the reader will say why."""
    try:
        with gzip.open(path) if compressed else path.open("rb") as stream:
            for _ in range(100):
                line = stream.readline(LOOKED_AT)
                if not line or line.strip():
                    return line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    except (OSError, EOFError, zlib.error, ValueError):
        pass
    return b""
