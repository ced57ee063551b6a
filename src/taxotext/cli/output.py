"""Data on stdout or in files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from taxotext.files import check_target, real, replacing
from taxotext.messages import printable, printable_json


def write_json(value: Any) -> None:
    """Write one JSON object, indented, to stdout."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    sys.stdout.buffer.write(printable_json(orjson.dumps(value, option=options)) + b"\n")
    sys.stdout.flush()


def encoded(line: str, path: Path | None) -> bytes:
    """A line for people, in the encoding of the terminal, or in UTF-8 for a file."""
    encoding = "utf-8" if path is not None else getattr(sys.stdout, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace")


WIDEST = 1_000_000
"""Columns of a table that does not go to a terminal."""


class Number(str):
    """A number in a form of its own, such as ``1,234`` or ``3.4 %``; tables put it to the right."""


@contextmanager
def lines_to(path: Path | None, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open stdout, or a file that appears when everything is written.

    Raises:
        DataError: the file exists (without ``overwrite``) or cannot be written.
    """
    from taxotext.errors import DataError

    if path is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    check_output(path, overwrite=overwrite)
    try:
        with replacing(path, follow_link=True) as temporary, temporary.open("wb") as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse an output file that could not be written in the end.

    Raises:
        DataError: see :func:`lines_to`.
    """
    from taxotext.errors import DataError

    check_target(path, "file", DataError)
    if path.is_file() and not overwrite:
        raise DataError(f"{path}: already exists. Choose another file, or replace it with --overwrite.")
    if not real(path).parent.is_dir():
        raise DataError(f"{path}: the folder {path.parent} does not exist; make it first.")


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """Print a table for people to stdout; metrics to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    numeric = [all(_is_number(row[column]) for row in rows) for column in range(len(head))]
    for name, right in zip(head, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(_shown(value), lines=True)) for value in row))
    on_terminal = sys.stdout.isatty()
    # Elsewhere a row stays on one line, however long it is.
    console = Console(highlight=False, width=None if on_terminal else WIDEST)
    if title is not None:
        console.print(Text(printable(title), style="bold"), soft_wrap=True)
    if on_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().rstrip("\n").split("\n"):
        sys.stdout.write(line.rstrip() + "\n")


def clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> clock(125), clock(3600)
    ('2:05', '1:00:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Number)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else str(value)
