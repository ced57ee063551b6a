"""From RAW to a folder that is complete and checked, or not there at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

from taxotext import __version__
from taxotext.data.catalogue.checks import Check, SplitCounts, compare, counts, missing_labels
from taxotext.data.catalogue.entries import Content, Dataset, Findings
from taxotext.data.catalogue.raw import Raw
from taxotext.data.catalogue.registry import find_dataset
from taxotext.data.catalogue.writing import file_of, write_splits
from taxotext.data.sources import open_lines
from taxotext.errors import DataError
from taxotext.files import check_target, named, real, recover_folder, replacing_folder
from taxotext.labels import Taxonomy, write_names, write_taxonomy
from taxotext.messages import parameter, some
from taxotext.progress import Reporter, Silent

FACTS = "prepared.json"


def prepare_dataset(
    name: str | Dataset,
    raw: Path | str,
    output: Path | str,
    options: Sequence[str] = (),
    *,
    strict: bool = False,
    overwrite: bool = False,
    packed: bool = False,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Turn the files of a release into ``train.jsonl``, ``validation.jsonl``, ``test.jsonl`` and their like.

    ``hierarchy.tsv`` (``parent<TAB>child``) and ``names.tsv`` (``id<TAB>name``) are written where the release has a
    taxonomy and names; ``prepared.json`` says what was read, changed, counted and compared.

    Args:
        raw: the folder or archive that holds the release; nothing is downloaded, nothing is changed in it.
        output: the folder to write; it appears complete or not at all.
        options: ``name=value`` choices of the corpus.
        strict: whether a count that differs from the published one is an error.
        overwrite: whether a folder that was prepared before may be replaced.
        packed: whether the corpora are compressed (``.jsonl.gz``).

    Returns:
        The content of ``prepared.json``.

    Raises:
        ConfigError: an unknown corpus or option.
        DataError: files that are missing or damaged; a folder that exists; with ``strict`` counts that differ.
        TaxonomyError: the taxonomy of the release is none.
    """
    reporter = reporter or Silent()
    dataset = find_dataset(name) if isinstance(name, str) else name
    chosen = dataset.parse_options(options)
    check_target(Path(output), "folder", DataError)
    source, folder = Path(raw), Path(output)
    folder = real(folder) if folder.is_symlink() else named(folder)
    _check_output(folder, source, overwrite=overwrite)
    findings = Findings()
    files = Raw(source, dataset, findings)
    try:
        with replacing_folder(folder) as temporary:
            content = import_module(f"taxotext.data.catalogue.{dataset.reader}").read(dataset, files, chosen, findings)
            facts = _fill(temporary, dataset, chosen, content, files, findings, reporter, packed=packed)
            _report(facts, reporter, strict=strict)
            (temporary / FACTS).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        place = error.filename or folder
        raise DataError(f"{place}: cannot be read or written ({error.strerror or error}).") from error
    return facts


def _fill(
    folder: Path,
    dataset: Dataset,
    options: Mapping[str, str],
    content: Content,
    files: Raw,
    findings: Findings,
    reporter: Reporter,
    *,
    packed: bool,
) -> dict[str, Any]:
    splits = write_splits(content, folder, findings, reporter, packed=packed)
    if "train" not in splits or not splits["train"].documents:
        raise files.missing("a training document")
    used = set().union(*(part.labels for part in splits.values()))
    taxonomy = content.taxonomy(used)
    found = counts(splits, taxonomy)
    checks = compare(dataset.expected(options), found)
    facts: dict[str, Any] = {
        "dataset": dataset.name,
        "title": dataset.title,
        "options": dict(options),
        "taxotext_version": __version__,
        "terms": dataset.terms,
        "source": {},
        "splits": {split: {"file": file_of(split, packed), **part.to_dict()} for split, part in splits.items()},
        "labels": len(used),
    }
    if taxonomy is not None:
        missing = missing_labels(splits, taxonomy)
        if missing:
            checks.append(_missing_check(missing))
            taxonomy = _with_roots(taxonomy, missing)
        write_taxonomy(taxonomy, folder / "hierarchy.tsv")
        facts["taxonomy"] = {
            "file": "hierarchy.tsv",
            "labels": len(taxonomy),
            "edges": int(taxonomy.edge_index.shape[1]),
            "labels_of_each_level": found["labels of each level"][0],
            "documents_with_missing_ancestors": _open_sets(folder, splits, taxonomy, packed),
        }
    known = used if taxonomy is None else set(taxonomy.ids)
    names = {label: name for label, name in content.names.items() if label in known and name}
    if names:
        write_names(names, folder / "names.tsv")
        facts["names"] = {"file": "names.tsv", "labels": len(names)}
    with reporter.task("Hashing the files of the release", None, unit="files"):
        facts["source"] = files.fingerprint()
    facts["changes"] = dict(sorted(findings.counts.items()))
    facts["notes"] = [*dataset.notes, *findings.notes]
    facts["checks"] = [check._asdict() for check in checks]
    return facts


def _missing_check(missing: Mapping[str, int]) -> Check:
    listed = some([f"{label} ({times:,})" for label, times in list(missing.items())[:10]], len(missing))
    source = f"{listed}; they are at the top level of hierarchy.tsv, take the taxonomy of the release"
    return Check("labels of documents that the taxonomy lacks", 0, len(missing), source, False)


def _with_roots(taxonomy: Taxonomy, labels: Mapping[str, int]) -> Taxonomy:
    """The taxonomy with further labels at the top level."""
    nothing = (None,) * len(labels)
    names, descriptions = (*taxonomy.names, *nothing), (*taxonomy.descriptions, *nothing)
    further = (*taxonomy.alternative_names, *((),) * len(labels))
    return Taxonomy((*taxonomy.ids, *labels), names, taxonomy.edge_index, descriptions, further)


def _open_sets(folder: Path, splits: Mapping[str, SplitCounts], taxonomy: Taxonomy, packed: bool) -> int:
    """How many documents have a label without one of its ancestors."""
    if not taxonomy.edge_index.shape[1]:
        return 0
    above = {
        label: {taxonomy.ids[parent] for parent in taxonomy.parents(row)} for row, label in enumerate(taxonomy.ids)
    }
    count = 0
    for split in splits:
        with open_lines(folder / file_of(split, packed), packed) as lines:
            for _, line in lines:
                labels = set(orjson.loads(line)["labels"])
                count += any(not above[label] <= labels for label in labels)
    return count


def _report(facts: Mapping[str, Any], reporter: Reporter, *, strict: bool) -> None:
    differing = [Check(**check).sentence() for check in facts["checks"] if not check["ok"]]
    duplicates = sum(part["left_out_duplicate_ids"] for part in facts["splits"].values())
    if duplicates:
        differing.append(
            f"documents with an id that was there before: {duplicates:,}, left out; is the release there twice, "
            "packed and unpacked?"
        )
    if not differing:
        return
    if strict:
        raise DataError(
            f"{facts['title']}: not as published; nothing is written because of {parameter('strict', True)}:", differing
        )
    for sentence in differing:
        reporter.note(f"Warning: not as published: {sentence}.")


def _check_output(folder: Path, raw: Path, *, overwrite: bool) -> None:
    recover_folder(folder)
    place, source = real(folder), real(raw)
    if place == source or place.is_relative_to(source) or source.is_relative_to(place):
        raise DataError(f"{folder}: OUTPUT and RAW ({raw}) contain one another; name a folder beside RAW.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / FACTS).is_file():
        raise DataError(f"{folder}: holds other files than a prepared corpus; name another folder.")
    if not overwrite:
        raise DataError(
            f"{folder}: already exists. Choose another folder, or replace it with {parameter('overwrite', True)}."
        )
