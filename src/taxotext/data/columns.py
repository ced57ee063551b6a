"""What a corpus file holds: which field is what, one document, and the account of one reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from taxotext.errors import ConfigError
from taxotext.messages import parameter

KEPT_SENTENCES = 1000
"""How many sentences about skipped lines a :class:`ReadReport` keeps; all are counted."""


@dataclass(frozen=True)
class Columns:
    """The fields (JSONL) or columns (CSV, TSV) of a corpus file.

    Args:
        text: the field with the text, or several fields that are joined in this order. Each named field must
            exist in every document; those that are empty (or ``null``, when several fields are named) are
            left out of the join.
        text_join: what stands between the joined fields.
        labels: the field with the label ids. JSONL: a list of strings. CSV: label ids with a separator
            between them, or a JSON list in the cell.
        label_separator: the separator of CSV label cells. ``None``: a cell that begins with ``[`` is a JSON
            list, and ``;`` or ``|`` is recognised when only one of the two occurs. ``""``: each cell is one
            label.
        found_separator: the separator that was recognised in an earlier file of the same kind; it is taken where
            ``label_separator`` is None and the cells do not show another one.
        id: the field with the id of the document. With the default name it may be absent, and when another role
            takes the field of that name, documents have no id (:attr:`id_field`).
        id_optional: the field ``id`` may be absent whatever its name is: it is that of an earlier file.
        weight: the field with the weight of the document in training (a finite number, 0 or more), if there
            is one.
        group: the field with the group of the document (its author, its source: documents of one group are
            kept in the same part of a split), if there is one. ``null`` or an empty cell: a group of its own.

    All other fields are passed through as metadata. Texts are taken as they are: no Unicode normalisation, no
    trimming. Labels are not normalised either, but white space around them is dropped and counted.

    >>> Columns(text="title").text
    ('title',)
    """

    text: tuple[str, ...] = ("text",)
    text_join: str = "\n"
    labels: str = "labels"
    label_separator: str | None = None
    id: str = "id"
    weight: str | None = None
    group: str | None = None
    found_separator: str | None = None
    id_optional: bool = False

    def __post_init__(self) -> None:
        """Accept one text field as a plain string, and refuse one field in two roles."""
        fields = (self.text,) if isinstance(self.text, str) else tuple(self.text)
        object.__setattr__(self, "text", fields)
        if not fields:
            raise ConfigError("columns.text names no field; give at least one, for example text=('text',)")
        roles = [("text", name) for name in fields] + [("labels", self.labels), ("id", self.id)]
        roles += [(role, name) for role, name in (("weight", self.weight), ("group", self.group)) if name is not None]
        for role, name in roles:
            if not isinstance(name, str) or not name:
                raise ConfigError(f"{parameter(role)} is {name!r}; give the name of a field")
        self.check_roles(labelled=False)

    @property
    def id_field(self) -> str | None:
        """``id``, or None where it may be absent and another role has the field of that name."""
        others = (*self.text, self.labels, self.weight, self.group)
        return None if self.id_may_be_absent and self.id in others else self.id

    @property
    def id_may_be_absent(self) -> bool:
        """Whether documents may lack the field ``id``: it has the default name, or that of an earlier file."""
        return self.id == "id" or self.id_optional

    def check_roles(self, *, labelled: bool) -> None:
        """Raise a ConfigError when one field has two roles; that of labels counts where they are read (``labelled``).

        >>> Columns(text="labels").check_roles(labelled=False)
        """
        roles: list[tuple[str, str | None]] = [("text", name) for name in self.text]
        roles += [("labels", self.labels)] if labelled else []
        roles += [("id", self.id_field), ("weight", self.weight), ("group", self.group)]
        seen: dict[str, str] = {}
        for role, name in roles:
            if name is None:
                continue
            if name in seen and seen[name] == role:
                raise ConfigError(f"the field {name!r} is named twice as {role}; name it once")
            if name in seen:
                raise ConfigError(
                    f"the field {name!r} is taken as {seen[name]} and as {role}; "
                    f"name another one for {role} with {parameter(role)}"
                )
            seen[name] = role


DEFAULT_COLUMNS = Columns()


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it stands in a file.

    ``where`` is ``file:line`` (the first line of the record); ``weight`` is 1.0 where the file has none. An ``id`` that
    is a whole number in the file stays one.
    """

    text: str
    labels: tuple[str, ...] = ()
    id: str | int | None = None
    weight: float = 1.0
    group: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    where: str = "memory"


@dataclass
class ReadReport:
    """What happened while a corpus was read. Nothing is dropped or changed that is not counted here.

    Attributes:
        documents: documents read.
        skipped: one sentence for each skipped line (the first 1,000; ``on_bad_line="skip"``).
        skipped_count: how many lines were skipped.
        blank_lines: blank lines between documents (those at the end are not counted).
        duplicate_labels: labels that stood twice in one document and were removed.
        trimmed_labels: labels with white space around them, which was dropped (around a separator it is not
            counted).
        empty_label_sets: documents without a label, before the closure policy is applied.
        label_separator: the separator that was found in CSV label cells, if one was guessed.
        unknown_labels: labels that the taxonomy lacks, with their number of documents.
        labels_added: labels that the closure policy ``ancestors`` added, over all documents.
        labels_removed: labels that the closure policy ``leaves`` removed, over all documents.
        feature_vectors: whether the texts are feature vectors (``index:value ...``) rather than words: svmlight files.
    """

    documents: int = 0
    skipped: list[str] = field(default_factory=list)
    skipped_count: int = 0
    blank_lines: int = 0
    duplicate_labels: int = 0
    trimmed_labels: int = 0
    empty_label_sets: int = 0
    label_separator: str | None = None
    unknown_labels: dict[str, int] = field(default_factory=dict)
    labels_added: int = 0
    labels_removed: int = 0
    feature_vectors: bool = False

    def skip(self, sentence: str) -> None:
        """Count one bad line and keep its sentence."""
        self.skipped_count += 1
        if len(self.skipped) < KEPT_SENTENCES:
            self.skipped.append(sentence)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self)
