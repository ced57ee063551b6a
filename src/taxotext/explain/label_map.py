"""A map of labels: where a system puts labels that it treats alike, by principal components or t-SNE.

Rows are the vectors that the system has of its labels, brought to length 1, so that frequent labels, whose vectors are
long, do not lie apart from all others. Principal components are those of the centred rows; the sign of each is the one
with which its largest loading is positive, so that a map is the same wherever it is computed. t-SNE (van der Maaten and
Hinton 2008) starts from them. Nearest labels are those with the largest cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, issparse

from taxotext.composition.base import System
from taxotext.errors import ConfigError, nearest

if TYPE_CHECKING:
    from taxotext.charts.chart import Chart
    from taxotext.labels import Taxonomy

MOST_LABELS = 3000
"""Labels on a map; of more, those with the most training documents. The matrix of their cosines is kept whole."""
NEAREST = 5
COMPONENTS = 50
"""Principal components that t-SNE reads."""
PERPLEXITY = 30
Method = Literal["pca", "tsne"]


@dataclass(frozen=True)
class LabelMap:
    """Places of L labels."""

    labels: NDArray[np.int64]  # (L,) int64, by training documents, the most first
    # ids, names: of these labels
    ids: tuple[str, ...]
    names: tuple[str, ...]
    places: NDArray[np.float64]  # (L, 2) float64
    nearest: NDArray[np.int64]  # (L, K) int64, rows of `labels`, the nearest first
    cosines: NDArray[np.float64]  # (L, K) float64 of these
    # shares of the variance that the two axes have; None of t-SNE, whose axes mean nothing
    explained: tuple[float, float] | None
    vectors: str  # which vectors these are, such as `head`
    method: Method  # `pca` or `tsne`
    left_out: int  # labels that are not on the map

    def neighbours(self, row: int) -> list[tuple[str, float]]:
        """Ids of the nearest labels and their cosines."""
        return [
            (self.ids[other], float(cosine)) for other, cosine in zip(self.nearest[row], self.cosines[row], strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "vectors": self.vectors,
            "method": self.method,
            "explained_variance": None if self.explained is None else [round(share, 6) for share in self.explained],
            "left_out": self.left_out,
            "labels": [
                {
                    "id": self.ids[row],
                    "name": self.names[row],
                    "x": round(float(x), 6),
                    "y": round(float(y), 6),
                    "nearest": [{"id": one, "cosine": round(cosine, 6)} for one, cosine in self.neighbours(row)],
                }
                for row, (x, y) in enumerate(self.places.tolist())
            ],
        }


def map_labels(
    system: System,
    seen: Sequence[int],
    *,
    vectors: str | None = None,
    method: str = "pca",
    neighbours: int = NEAREST,
) -> LabelMap:
    """Lay the labels of a system out.

    Args:
        seen: training documents of each of the N labels.
        vectors: name among :func:`label_vectors`; None: the first.
        method: ``pca`` or ``tsne``.
        neighbours: nearest labels of each.

    Raises:
        ConfigError: the system has no vectors of labels, or none of that name; no such method; fewer than 3 labels.
    """
    if method not in ("pca", "tsne"):
        raise ConfigError(f"method is {method!r}; choose pca or tsne.")
    name, rows = _chosen(system, vectors)
    taxonomy = system.taxonomy
    if len(taxonomy) < 3:
        raise ConfigError(f"A map needs 3 labels or more; the model has {len(taxonomy)}.")
    kept = np.argsort(-np.asarray(seen, dtype=np.int64), kind="stable")[:MOST_LABELS]
    unit = unit_rows(rows[kept])
    places, explained = principal_components(unit, 2)
    if method == "tsne":
        places = _tsne(unit)
    order, cosines = nearest_rows(unit, min(neighbours, len(kept) - 1))
    return LabelMap(
        labels=kept,
        ids=tuple(taxonomy.ids[label] for label in kept.tolist()),
        names=tuple(taxonomy.name(label) for label in kept.tolist()),
        places=places,
        nearest=order,
        cosines=cosines,
        explained=(float(explained[0]), float(explained[1])) if method == "pca" else None,
        vectors=name,
        method="pca" if method == "pca" else "tsne",
        left_out=len(taxonomy) - len(kept),
    )


def label_vectors(system: System) -> dict[str, Any]:
    """Return the matrices (N, ...) that a system has of its labels, by name; those of members as ``0.head``."""
    found = system.label_vectors()
    for number, member in enumerate(system.members):
        # The columns of a member may have another order.
        order = [member.taxonomy.index(label) for label in system.taxonomy.ids]
        found |= {f"{number}.{name}": rows[order] for name, rows in label_vectors(member).items()}
    return found


def _chosen(system: System, vectors: str | None) -> tuple[str, Any]:
    found = label_vectors(system)
    if not found:
        raise ConfigError(
            f"{system.name} has no vector for each label that a map could be made of; linear, systems with a linear or "
            "attention head, and systems that predict sequences have."
        )
    if vectors is not None and vectors not in found:
        raise ConfigError(f"vectors is {vectors!r}; {system.name} has {', '.join(found)}.{nearest(vectors, found)}")
    name = next(iter(found)) if vectors is None else vectors
    return name, found[name]


def unit_rows(rows: Any) -> Any:
    """Bring rows to length 1; rows of zeros stay."""
    sparse = bool(issparse(rows))
    matrix: Any = rows.astype(np.float64) if sparse else np.asarray(rows, np.float64).reshape(len(rows), -1)
    squares: Any = matrix.multiply(matrix).sum(axis=1) if sparse else (matrix * matrix).sum(axis=1)
    lengths = np.sqrt(np.asarray(squares).ravel())
    scales = 1 / np.where(lengths > 0, lengths, 1.0)
    return csr_array(diags_array(scales) @ matrix) if sparse else matrix * scales[:, None]


def principal_components(rows: Any, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first principal components of rows, and the shares of the variance that they explain.

    Args:
        rows: (L, d), dense or sparse; they are centred here, a sparse array without becoming dense.
        count: of components, at most L - 1; more are 0.

    Returns:
        (L, count), with the sign by which the largest loading of each is positive, and (count,).
    """
    products = _products(rows)
    centred = products - products.mean(0) - products.mean(1)[:, None] + products.mean()
    values, vectors = np.linalg.eigh(centred)
    values, vectors = np.maximum(values[::-1][:count], 0.0), vectors[:, ::-1][:, :count]
    total = max(float(np.trace(centred)), 1e-12)
    loadings = np.asarray(rows.T @ vectors)  # (d, count); those of centred rows, since the vectors sum to 0
    signs = np.sign(loadings[np.abs(loadings).argmax(0), np.arange(loadings.shape[1])])
    found = np.zeros((len(centred), count))
    found[:, : len(values)] = vectors * np.where(signs == 0, 1.0, signs) * np.sqrt(values)
    shares = np.zeros(count)
    shares[: len(values)] = values / total
    return found, shares


def nearest_rows(unit: Any, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows with the largest cosines to each row, itself left out; ties go to the earlier row. Both (L, count)."""
    cosines = _products(unit)
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(cosines, order, 1)


def _products(rows: Any) -> NDArray[np.float64]:
    sparse = bool(issparse(rows))
    found: Any = rows @ rows.T
    return np.asarray(found.toarray() if sparse else found, dtype=np.float64)


def _tsne(unit: Any) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    count = unit.shape[0]
    components, _ = principal_components(unit, min(COMPONENTS, count - 1))
    start = components[:, :2] / max(float(components[:, 0].std()), 1e-12) * 1e-4
    perplexity = min(float(PERPLEXITY), (count - 1) / 3)
    found = TSNE(2, perplexity=perplexity, init=start, random_state=0).fit_transform(components)
    return np.asarray(found, dtype=np.float64)


def chart(found: LabelMap, system: System) -> Chart:
    """Draw a map; labels below the same top-level label have one colour."""
    from taxotext.charts.chart import SERIES
    from taxotext.charts.kinds import Point, label_map

    taxonomy = system.taxonomy
    series, groups = [0] * len(found.ids), []
    if not taxonomy.is_flat:
        of_root = {root: number for number, root in enumerate(taxonomy.roots.tolist())}
        groups = [taxonomy.name(root) for root in taxonomy.roots.tolist()]
        if len(groups) <= SERIES:
            above = [[label, *taxonomy.ancestors(label).tolist()] for label in found.labels.tolist()]
            series = [next(of_root[label] for label in own if label in of_root) for own in above]
        else:
            groups = []
    points = [
        Point(short_name(taxonomy, label), float(x), float(y), number, taxonomy.name(label))
        for label, (x, y), number in zip(found.labels.tolist(), found.places, series, strict=True)
    ]
    return label_map(title_of(found), points, groups)


def short_name(taxonomy: Taxonomy, label: int) -> str:
    """The name of a label, without that of its parent in front."""
    name = taxonomy.name(label)
    for parent in taxonomy.parents(label).tolist():
        above = taxonomy.name(parent)
        rest = name[len(above) :].lstrip(" -/:>|._") if name.startswith(above) else ""
        if rest:
            return rest
    return name


def title_of(found: LabelMap) -> str:
    """What the map shows, with the variance of its axes."""
    if found.explained is None:
        return f"Labels by their vectors ({found.vectors}), t-SNE"
    first, second = (100 * share for share in found.explained)
    return f"Labels by their vectors ({found.vectors}): {first:.0f} % and {second:.0f} % of variance"
