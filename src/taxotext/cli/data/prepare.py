"""``taxotext data prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli.data import common
from taxotext.cli.options import AsJson
from taxotext.messages import counted

if TYPE_CHECKING:
    from taxotext.data.catalogue import Dataset


def prepare(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Corpus; --list shows them.")] = None,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[option=value ...]", help="Choices of the corpus.")
    ] = None,
    raw: Annotated[
        Path | None, typer.Option("--from", metavar="RAW", help="Folder or archive that holds the release.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A count that is not as published is an error.")] = False,
    packed: Annotated[bool, typer.Option("--gzip", help="Write .jsonl.gz.")] = False,
    overwrite: common.Overwrite = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the catalogue, or all about NAME.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prepare a public corpus from files that you have.

    Nothing is downloaded: RAW holds the files of the release, loose or in its archives, which are read in place.
    OUTPUT gets train.jsonl, validation.jsonl and test.jsonl as the release splits them, hierarchy.tsv, names.tsv, and
    prepared.json with all counts. Counts are compared with the published ones.

    Examples:

    \b
      taxotext data prepare --list
      taxotext data prepare rcv1-v2 --list
      taxotext data prepare reuters-21578 --from reuters21578.tar.gz --output data/reuters
      taxotext data prepare multi-eurlex language=de level=2 --from raw/ --output data/laws --gzip --strict
    """
    from taxotext.cli.output import write_json
    from taxotext.cli.reporter import make_reporter
    from taxotext.data.catalogue import DATASETS, find_dataset, prepare_dataset
    from taxotext.errors import ConfigError

    if list_ or name is None:
        shown = DATASETS if name is None else (find_dataset(name),)
        if not list_ and (raw is not None or output is not None):
            raise ConfigError("NAME is missing: say which corpus it is; `taxotext data prepare --list` shows them.")
        if as_json:
            write_json([_described(dataset) for dataset in shown])
        elif name is None:
            _print_catalogue(shown)
        else:
            _print_entry(shown[0])
        return
    if raw is None or output is None:
        missing = " and ".join(flag for flag, value in (("--from RAW", raw), ("--output DIR", output)) if value is None)
        raise ConfigError(f"{missing} is missing; `taxotext data prepare {name} --list` says what RAW must hold.")
    reporter = make_reporter()
    facts = prepare_dataset(
        name, raw, output, options or (), strict=strict, overwrite=overwrite, packed=packed, reporter=reporter
    )
    if as_json:
        write_json(facts)
    _print_facts(facts, output, reporter.note)


def _print_facts(facts: dict[str, Any], output: Path, note: Any) -> None:
    sizes = [f"{part['documents']:,} {split}" for split, part in facts["splits"].items()]
    labels = counted(facts["labels"], "label")
    agreed = sum(check["ok"] for check in facts["checks"])
    note(f"Wrote {output}: {', '.join(sizes)} documents with {labels}.")
    note(f"{agreed} of {counted(len(facts['checks']), 'count')} as published; prepared.json has them all.")
    for phrase, count in facts["changes"].items():
        note(f"{phrase[:1].upper()}{phrase[1:]}: {count:,}.")
    empty = sum(part["left_out_without_text"] for part in facts["splits"].values())
    if empty:
        note(f"{counted(empty, 'document')} without text left out.")
    for sentence in facts["notes"]:
        note(sentence)


def _print_catalogue(datasets: tuple[Dataset, ...]) -> None:
    from taxotext.cli.output import Number, print_table

    rows = []
    for dataset in datasets:
        expected = {count.what: count.value for count in dataset.expected(dataset.parse_options(()))}
        sizes = [expected.get(f"{split} documents") for split in ("train", "validation", "test")]
        labels = expected.get("labels", expected.get("labels of the taxonomy"))
        shown = [common.whole(size) if isinstance(size, int) else Number("") for size in (*sizes, labels)]
        rows.append((dataset.name, *shown, dataset.summary))
    print_table(("name", "train", "validation", "test", "labels", "what"), rows)


def _print_entry(dataset: Dataset) -> None:
    from taxotext.cli.output import print_table

    rows: list[tuple[str, str]] = [("name", dataset.name), ("title", dataset.title), ("what", dataset.summary)]
    rows += [("terms", dataset.terms), ("where", dataset.obtain)]
    rows += [("RAW holds", part) for part in dataset.files]
    for option in dataset.options:
        rows.append((f"{option.name}=", f"{' | '.join(option.values)}: {option.meaning}"))
    rows += [("note", sentence) for sentence in dataset.notes]
    print_table(("", ""), rows)
    counts = [
        (
            count.what,
            _shown(count.value),
            ", ".join(f"{key}={value}" for key, value in count.when.items()),
            count.source,
        )
        for count in dataset.counts
    ]
    print_table(("published", "number", "with", "source"), counts)


def _shown(value: int | tuple[int, ...]) -> str:
    return common.whole(value) if isinstance(value, int) else "/".join(map(str, value))


def _described(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "summary": dataset.summary,
        "terms": dataset.terms,
        "obtain": dataset.obtain,
        "files": list(dataset.files),
        "options": [option._asdict() for option in dataset.options],
        "counts": [{**count._asdict(), "when": dict(count.when)} for count in dataset.counts],
        "notes": list(dataset.notes),
    }
