"""What a corpus file holds: which field is what, one document, and the account of one reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from taxotext.errors import ConfigError, nearest
from taxotext.messages import parameter

KEPT_SENTENCES = 1000
"""How many sentences about skipped lines a :class:`ReadReport` keeps; all are counted."""

LABEL_COLUMNS = ("names", "prefixed", "paths")
"""What equal names in several label fields are."""


@dataclass(frozen=True)
class Columns:
    """The fields (JSONL) or columns (CSV, TSV) of a corpus file.

    Args:
        text: the field with the text, or several fields that are joined in this order. Each named field must
            exist in every document; those that are empty (or ``null``, when several fields are named) are
            left out of the join.
        text_join: what stands between the joined fields.
        labels: the field with the label ids, or several fields: one for each label with 0 and 1 in it, or one for
            each level of a hierarchy. How a field is read is decided from its first values
            (:mod:`taxotext.data.label_columns`).
        label_separator: the separator of label cells. ``None``: lists that programs print and identifiers side by
            side are recognised, and so is ``;`` or ``|`` when only one of the two occurs. ``""``: each cell is one
            label.
        quotes: whether a cell of a CSV or TSV file that begins with a quote ends at the next one, as spreadsheets
            write it; if not, a quote is a character like any other.
        found_separator: the separator that was recognised in an earlier file of the same kind; it is taken where
            ``label_separator`` is None and the cells do not show another one.
        found_shapes: how the label fields of that file were read, in their order.
        label_columns: what equal names in several label fields are. ``names``: one label; ``prefixed``: labels of their
            fields, ``field=name``; ``paths``: the fields are levels, and labels are paths, ``a`` and ``a/b``. ``None``:
            names, and an error where one may be several labels.
        path_separator: between the steps of these paths.
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
    labels: tuple[str, ...] = ("labels",)
    label_separator: str | None = None
    id: str = "id"
    weight: str | None = None
    group: str | None = None
    found_separator: str | None = None
    quotes: bool = True
    found_shapes: tuple[str, ...] = ()
    id_optional: bool = False
    label_columns: str | None = None
    path_separator: str = "/"

    def __post_init__(self) -> None:
        """Accept one text or label field as a plain string, and refuse one field in two roles."""
        for role in ("text", "labels"):
            given = getattr(self, role)
            object.__setattr__(self, role, (given,) if isinstance(given, str) else tuple(given))
            if not getattr(self, role):
                raise ConfigError(f"columns.{role} names no field; give at least one, for example {role}=('{role}',)")
        object.__setattr__(self, "found_shapes", tuple(self.found_shapes))
        if self.label_columns not in (None, *LABEL_COLUMNS):
            hint = nearest(str(self.label_columns), LABEL_COLUMNS)
            choices = ", ".join(LABEL_COLUMNS)
            raise ConfigError(f"{parameter('label_columns')} is {self.label_columns!r}; choose one of {choices}.{hint}")
        if not self.path_separator:
            raise ConfigError(f"{parameter('path_separator')} is empty; give one, such as '/'")
        roles = [("text", name) for name in self.text] + [("labels", name) for name in self.labels] + [("id", self.id)]
        roles += [(role, name) for role, name in (("weight", self.weight), ("group", self.group)) if name is not None]
        for role, name in roles:
            if not isinstance(name, str) or not name:
                raise ConfigError(f"{parameter(role)} is {name!r}; give the name of a field")
        self.check_roles(labelled=False)

    @property
    def label_field(self) -> str:
        """The field that labels are written to: that of the labels, or ``labels`` where there are several."""
        return self.labels[0] if len(self.labels) == 1 else "labels"

    def shape_before(self, label_field: str) -> Any:
        """How a label field was read in an earlier file of the same kind; None when there was none."""
        return dict(zip(self.labels, self.found_shapes, strict=False)).get(label_field)

    def as_found(self, report: ReadReport) -> Columns:
        """The same fields with what the reading of a file has found out about its labels."""
        shapes = tuple(report.label_shapes.get(name, "") for name in self.labels) if report.label_shapes else ()
        return replace(self, found_separator=report.label_separator, found_shapes=shapes)

    @property
    def id_field(self) -> str | None:
        """``id``, or None where it may be absent and another role has the field of that name."""
        others = (*self.text, *self.labels, self.weight, self.group)
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
        roles += [("labels", name) for name in self.labels] if labelled else []
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
        empty_labels: empty labels beside separators, and values such as None in printed lists, that were dropped.
        label_separator: the separator that was found in label cells, if one was guessed.
        column_separator: the separator of columns, where it is not the one that the suffix promises.
        label_columns: how each label field was read, in words.
        label_shapes: the same as shapes of :mod:`taxotext.data.label_columns`.
        guessed_columns: those of them that could have been read in another way.
        joined_names: how equal names in several label fields were taken, in sentences.
        declared_labels: labels that the fields name themselves (one field for each label), in their order.
        labels_known: whether the labels are those of a taxonomy, not those that documents have.
        repeated_headers: headers in the middle of a table, left out.
        joined_rows: rows with the id and the text of the row before, whose labels went to the same document.
        empty_columns: columns without a name and without a value at the end of a table, left out.
        ignored: records that an annotator has left out or rejected, by what the file says of them.
        differing_annotations: records of which annotators think differently; the labels of most of them are taken.
        unused: settings that had no effect, with the reason.
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
    empty_labels: int = 0
    label_separator: str | None = None
    column_separator: str | None = None
    label_columns: dict[str, str] = field(default_factory=dict)
    label_shapes: dict[str, str] = field(default_factory=dict)
    guessed_columns: list[str] = field(default_factory=list)
    joined_names: list[str] = field(default_factory=list)
    declared_labels: tuple[str, ...] = ()
    labels_known: bool = False
    repeated_headers: int = 0
    joined_rows: int = 0
    empty_columns: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    differing_annotations: int = 0
    unused: dict[str, str] = field(default_factory=dict)
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
