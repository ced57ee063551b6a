"""Writers of taxonomies and display names, the counterpart of the readers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from taxotext.errors import ConfigError, TaxonomyError
from taxotext.labels import building, files, nested, skos
from taxotext.labels.readers import ROOT, check_format, format_of_name, is_comment
from taxotext.labels.taxonomy import Taxonomy
from taxotext.messages import counted

logger = logging.getLogger("taxotext")

WRITTEN = ("edges", "paths", "nested", "skos")
"""The formats that taxonomies are written in."""


def write_taxonomy(
    taxonomy: Taxonomy,
    path: Path | str,
    format: str | None = None,
    separator: str = "/",
    *,
    overwrite: bool = False,
) -> None:
    """Write a taxonomy so that :func:`~taxotext.labels.read_taxonomy` reads the same labels and edges.

    ``edges`` and ``paths`` keep the order of the labels when each label comes after at least one of its
    parents (as in every taxonomy read from paths); ``nested`` files are in depth-first order.
    ``Taxonomy.to_dict`` keeps any order. Names and descriptions are kept by ``nested`` and ``skos``; for
    ``edges`` write them beside it with :func:`write_names`. Notations are kept by ``skos`` alone.

    Args:
        taxonomy: what to write.
        path: the file; packed when its name ends in ``.gz``.
        format: one of ``edges``, ``paths``, ``nested`` (YAML when the name says so, else JSON), ``skos`` (Turtle); None
            follows the suffix (``.tsv``, ``.paths``, ``.json``, ``.yaml``, ``.yml``, ``.ttl``, ``.nt``).
        separator: for ``paths``.
        overwrite: whether an existing file may be replaced.

    Raises:
        TaxonomyError: when the taxonomy has no form in this format, is empty, or the file exists or cannot be written.
        ConfigError: for an unknown format or a suffix that stands for none.
    """
    path = Path(path)
    format = format or format_of_name(path)
    if format is None:
        raise ConfigError(
            f"The name of {path} does not say which format to write; "
            "use .tsv, .paths, .json, .yaml or .ttl, or pass format."
        )
    check_format(format, WRITTEN)
    files.check_free(path, overwrite=overwrite)
    if not len(taxonomy):
        raise TaxonomyError(f"The taxonomy has no labels; nothing to write to {path}.")
    if format == "nested":
        text = nested.dump_nested(taxonomy, path)
    elif format == "paths":
        text = _paths(taxonomy, path, separator)
    elif format == "skos":
        text = skos.dump_skos(taxonomy, path)
    else:
        text = _edges(taxonomy, path)
    if taxonomy.has_notations and format != "skos":
        logger.info("%s: notations are not part of the file; format='skos' keeps them", path)
    files.write_text(path, text)


def write_names(names: Taxonomy | Mapping[str, str], path: Path | str, *, overwrite: bool = False) -> None:
    """Write display names, a line ``id<TAB>name`` each; a label without a name gets an empty one.

    Lines of labels with a description have it in a third column, alternative names in further ones.

    Args:
        names: a taxonomy, or id -> name.
        path: the file; packed when its name ends in ``.gz``.
        overwrite: whether an existing file may be replaced.

    Raises:
        TaxonomyError: when an id or a name cannot stand on a line, or the file exists or cannot be written.
    """
    path = Path(path)
    files.check_free(path, overwrite=overwrite)
    if isinstance(names, Taxonomy):
        rows = zip(names.ids, names.names, names.descriptions, names.alternative_names, strict=True)
        lines = [
            (label, name or "", *([text or "", *further] if text or further else []))
            for label, name, text, further in rows
        ]
    else:
        lines = [(label, building.tidy_text(name) or "") for label, name in names.items()]
    problems = [problem for label, *_ in lines if (problem := building.id_problem(label))]
    if problems:
        raise TaxonomyError(f"The names cannot be written to {path}:", problems)
    files.write_text(path, "".join("\t".join(columns) + "\n" for columns in lines))


def _edges(taxonomy: Taxonomy, path: Path) -> str:
    if ROOT in taxonomy:
        raise TaxonomyError(
            f"The label {ROOT!r} cannot be written to {path}: files of edges use it for the artificial root; "
            "rename the label or use format='nested'."
        )
    lost = {
        "display names": taxonomy.has_names,
        "descriptions": taxonomy.has_descriptions,
        "alternative names": taxonomy.has_alternative_names,
    }
    if any(lost.values()):
        what = " and ".join(name for name, there in lost.items() if there)
        logger.info("%s: %s are not part of a file of edges; write_names keeps them", path, what)
    parents, children = taxonomy.edge_index
    pairs = [
        *((-1, int(root)) for root in taxonomy.roots),
        *zip(parents.tolist(), children.tolist(), strict=True),
    ]
    # a line stands where the later of its labels is introduced, so that reading meets the labels in their
    # order; the line that introduces it by a parent goes before its edges to children that are already known
    pairs.sort(key=lambda pair: (max(pair), pair[1] != max(pair), min(pair)))
    ids = taxonomy.ids
    return "".join(f"{ROOT if above < 0 else ids[above]}\t{ids[below]}\n" for above, below in pairs)


def _paths(taxonomy: Taxonomy, path: Path, separator: str) -> str:
    if not separator:
        raise ConfigError("The separator of paths is empty; give one, such as '/'.")
    problems = []
    changed = 0
    if is_comment(taxonomy.ids[0]):
        problems.append(f"{taxonomy.ids[0]!r} would be taken for a comment in the first line")
    for i, label in enumerate(taxonomy.ids):
        above = [taxonomy.ids[p] for p in taxonomy.parents(i)]
        *before, segment = segments = label.split(separator)
        expected = separator.join(before)
        if len(above) > 1:
            problems.append(f"{label!r} has {len(above)} parents: {', '.join(map(repr, above))}")
        elif (above[0] if above else "") != expected:
            problems.append(
                f"{label!r} is not the path of its parent {above[0]!r} and a name"
                if above
                else f"{label!r} is a top-level label but looks like a path below {expected!r}"
            )
        elif not all(part and part == part.strip() for part in segments):
            problems.append(f"{label!r} has an empty segment or one with outer white space")
        changed += taxonomy.names[i] not in (None, segment)
    if problems:
        raise TaxonomyError(
            f"The taxonomy cannot be written to {path} as paths separated by {separator!r}; "
            "use format='edges' or format='nested':",
            problems,
        )
    if changed:
        differing = counted(changed, "display name differs", "display names differ")
        logger.info("%s: %s from the last segment and not kept", path, differing)
    return "".join(f"{label}\n" for label in taxonomy.ids)
