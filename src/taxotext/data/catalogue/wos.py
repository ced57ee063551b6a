"""Web of Science: WOS-46985, WOS-11967 and WOS-5736.

Source: Kowsari et al., HDLTex: Hierarchical Deep Learning for Text Classification, ICMLA 2017; Mendeley Data
9rw3vkcfy4. The release defines no split. For WOS-46985 papers since HiAGM (Zhou et al. 2020) use one that their script
draws: all rows of Meta-data/Data.txt shuffled with NumPy's seed 7, then twice 80/20 by scikit-learn's
``train_test_split`` with ``random_state=0``; it is drawn here in the same way, so that rows in that order give the same
documents. There are seven top-level labels, not four as some papers write.

Labels are the codes of the release, ``5`` for a domain and ``5-7`` for an area in it: names of areas are not unique
(two domains have a "Depression"), and one code has several names in the table (4-4 has three). As in the published
preparation a code is one label; its name is the most frequent one.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from taxotext.data.catalogue.entries import Content, Dataset, Findings, Record
from taxotext.data.catalogue.raw import Place, Raw
from taxotext.data.catalogue.text import decode
from taxotext.errors import DataError
from taxotext.labels import Taxonomy

COLUMNS = ("Y1", "Y2", "Y", "Domain", "area", "keywords", "Abstract")
SHUFFLE_SEED = 7
SPLIT_SEED = 0


class Row(NamedTuple):
    """A paper: codes and, from the table, names."""

    domain: str
    area: str
    text: str
    domain_name: str = ""
    area_name: str = ""
    keywords: str = ""


def read(dataset: Dataset, raw: Raw, options: Mapping[str, str], findings: Findings) -> Content:
    """All papers of one part, in the split of the literature.

    Options: ``part=46985``, ``11967`` or ``5736``.
    """
    part = options["part"]
    table = raw.find("meta-data/data.txt", "data.txt", "meta-data/data.csv") if part == "46985" else None
    if table is not None:
        rows = read_table(decode(raw.read(table), findings), table.name)
    else:
        rows = read_columns(raw, part, findings)
        if part == "46985":
            findings.notes.append(
                "Read from X.txt, YL1.txt and YL2.txt: labels have no names, and the split has the published sizes but "
                "holds the published documents only if these files have the order of Meta-data/Data.xls. For both, "
                "save that sheet as 'Unicode text' under the name Meta-data/Data.txt."
            )
    if part != "46985":
        findings.notes.append(f"WOS-{part} has no published split; it is drawn as that of WOS-46985 is.")
    edges: dict[tuple[str | None, str], None] = {}
    for row in sorted({(row.domain, row.area) for row in rows}, key=_by_number):
        edges[None, row[0]] = None
        edges[row[0], row[1]] = None
    return Content(
        _records(rows),
        taxonomy=lambda used: Taxonomy.from_edges(edges),
        names=_names(rows, findings),
        total=len(rows),
    )


def read_table(text: str, where: str) -> list[Row]:
    """The rows of Meta-data/Data.txt (tabs) or Data.csv.

    Raises:
        DataError: other columns, or rows of another length, with their lines.
    """
    if where.lower().endswith(".csv"):
        cells = list(csv.reader(io.StringIO(text, newline="")))
    else:
        cells = [[_unquoted(cell) for cell in line.split("\t")] for line in text.split("\n")]
    head = tuple(cell.strip() for cell in cells[0])
    if [name.lower() for name in head] != [name.lower() for name in COLUMNS]:
        raise DataError(f"{where}:1: expected the columns {', '.join(COLUMNS)}, found {', '.join(head)[:100]}.")
    rows, problems = [], []
    for number, line in enumerate(cells[1:], 2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(COLUMNS) or not line[0].strip().isdigit() or not line[1].strip().isdigit():
            problems.append(f"{where}:{number}: expected 7 cells, the first two of them numbers, found {len(line)}")
            continue
        domain, area, _, domain_name, area_name, keywords, abstract = (cell.strip() for cell in line)
        rows.append(Row(domain, f"{domain}-{area}", abstract, domain_name, area_name, keywords))
    if problems:
        raise DataError(f"{where}: has {len(problems)} bad row(s); export the sheet again:", problems)
    return rows


def read_columns(raw: Raw, part: str, findings: Findings) -> list[Row]:
    """The papers of ``WOS<part>/X.txt`` with the codes of YL1.txt and YL2.txt, a line each.

    Raises:
        DataError: a file is missing, they differ in length, or a code is not a number.
    """
    places = [raw.need(f"WOS{part}/{name}") for name in ("X.txt", "YL1.txt", "YL2.txt")]
    texts, domains, areas = (_lines(raw, place, findings) for place in places)
    if not len(texts) == len(domains) == len(areas):
        lengths = ", ".join(
            f"{place.name} {len(lines):,}" for place, lines in zip(places, (texts, domains, areas), strict=True)
        )
        raise DataError(f"{raw.path}: the files have different numbers of lines ({lengths}); fetch them again.")
    for place, codes in zip(places[1:], (domains, areas), strict=True):
        for number, code in enumerate(codes, 1):
            if not code.strip().isdigit():
                raise DataError(f"{place.name}:{number}: expected a number, found {code[:60]!r}.")
    return [
        Row(domain.strip(), f"{domain.strip()}-{area.strip()}", text)
        for text, domain, area in zip(texts, domains, areas, strict=True)
    ]


def published_split(documents: int) -> dict[str, list[int]]:
    """Rows of train, validation and test, in the order in which the script of the literature leaves them.

    >>> {split: len(rows) for split, rows in published_split(46985).items()}
    {'train': 30070, 'validation': 7518, 'test': 9397}
    """
    import numpy as np

    rows = list(range(documents))
    np.random.RandomState(SHUFFLE_SEED).shuffle(rows)
    rest, test = _fifth(rows)
    train, validation = _fifth(rest)
    return {"train": train, "validation": validation, "test": test}


def _fifth(rows: list[int]) -> tuple[list[int], list[int]]:
    """(Four fifths, one fifth), as ``train_test_split(rows, test_size=0.2, random_state=0)`` draws them."""
    import numpy as np

    held_out = math.ceil(0.2 * len(rows))
    order = np.random.RandomState(SPLIT_SEED).permutation(len(rows)).tolist()
    return [rows[place] for place in order[held_out:]], [rows[place] for place in order[:held_out]]


def _records(rows: list[Row]) -> Iterator[tuple[str, Record]]:
    for split, numbers in published_split(len(rows)).items():
        for number in numbers:
            row = rows[number]
            yield split, Record(row.text, [row.domain, row.area], str(number), {"keywords": row.keywords})


def _names(rows: list[Row], findings: Findings) -> dict[str, str]:
    """The most frequent name of each code; of equally frequent ones the first."""
    counted: dict[str, Counter[str]] = {}
    for row in rows:
        for code, name in ((row.domain, row.domain_name), (row.area, row.area_name)):
            if name:
                counted.setdefault(code, Counter())[name] += 1
    findings.add(
        "names of labels merged into the most frequent one of their code", sum(len(c) - 1 for c in counted.values())
    )
    return {code: names.most_common(1)[0][0] for code, names in counted.items()}


def _lines(raw: Raw, place: Place, findings: Findings) -> list[str]:
    """The lines of a file; only line feeds end a line, and the last one may lack it."""
    lines = [decode(line, findings).rstrip("\n") for line in raw.lines(place)]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _unquoted(cell: str) -> str:
    cell = cell.strip()
    return cell[1:-1].replace('""', '"').strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def _by_number(codes: tuple[str, str]) -> tuple[int, ...]:
    return tuple(int(step) for step in codes[1].split("-"))
