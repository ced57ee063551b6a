"""The map of labels: components against NumPy's SVD, neighbours by hand, equal maps for equal models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from tests.tiny import tiny_corpus, tiny_fit

from taxotext import Classifier
from taxotext.errors import ConfigError
from taxotext.explain.label_map import chart, label_vectors, map_labels, nearest_rows, principal_components, unit_rows


def by_svd(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    centred = rows - rows.mean(0)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(count), np.abs(right[:count]).argmax(1)])
    return left[:, :count] * values[:count] * signs, (values**2 / (values**2).sum())[:count]


@pytest.mark.parametrize("shape", [(9, 4), (6, 30)])
@pytest.mark.parametrize("sparse", [False, True])
def test_components_are_those_of_the_svd_with_the_largest_loading_positive(
    shape: tuple[int, int], sparse: bool
) -> None:
    rows = np.random.default_rng(4).normal(size=shape) * (np.random.default_rng(5).random(shape) < 0.6)
    places, shares = principal_components(csr_array(rows) if sparse else rows, 2)
    expected, variance = by_svd(rows, 2)
    np.testing.assert_allclose(places, expected, atol=1e-9)
    np.testing.assert_allclose(shares, variance, atol=1e-9)
    turned, _ = principal_components(-rows, 2)
    np.testing.assert_allclose(turned, by_svd(-rows, 2)[0], atol=1e-9)


def test_nearest_rows_have_the_largest_cosines_and_ties_go_to_the_earlier_row() -> None:
    rows = unit_rows(np.asarray([[2.0, 0.0], [1.0, 1.0], [0.0, 3.0], [0.0, 0.0], [5.0, 5.0]]))
    order, cosines = nearest_rows(rows, 2)
    assert order.tolist() == [[1, 4], [4, 0], [1, 4], [0, 1], [1, 0]]
    np.testing.assert_allclose(cosines[1], [1.0, np.sqrt(0.5)])
    np.testing.assert_allclose(cosines[3], [0.0, 0.0])  # no vector: like no other label


@pytest.mark.parametrize(
    ("system", "options", "names"),
    [
        ("linear", {"features": {"min_documents": 1}}, ["coefficients"]),
        ("kim_cnn", {}, ["head"]),
        ("sgm", {}, ["output", "embedding"]),
    ],
)
def test_systems_have_vectors_of_their_labels(system: str, options: dict[str, Any], names: list[str]) -> None:
    model = Classifier(system, **options).fit(tiny_corpus()) if options else tiny_fit(system)
    found = label_vectors(model.system)
    assert list(found) == names
    assert {rows.shape[0] for rows in found.values()} == {7}
    drawn = map_labels(model.system, model.manifest.seen, vectors=names[-1])
    assert set(drawn.ids) == set(model.taxonomy.ids)
    # By training documents, the most first.
    counts = [model.manifest.seen[model.taxonomy.index(label)] for label in drawn.ids]
    assert counts == sorted(counts, reverse=True)


def test_members_of_a_mixture_have_theirs_in_the_order_of_its_labels(tmp_path: Path) -> None:
    first = tiny_fit("kim_cnn")
    first.save(tmp_path / "a")
    Classifier("linear", features={"min_documents": 1}).fit(tiny_corpus()).save(tmp_path / "b")
    validation = tiny_corpus(20, seed=77)
    settings = {"members": [str(tmp_path / "a"), str(tmp_path / "b")], "weights": [0.5, 0.5]}
    mixed = Classifier("mixed", **settings).fit(validation, validation=validation)
    found = label_vectors(mixed.system)
    assert list(found) == ["0.head", "1.coefficients"]
    own = label_vectors(first.system)["head"]
    for label in mixed.taxonomy.ids:
        row = found["0.head"][mixed.taxonomy.index(label)]
        np.testing.assert_array_equal(row, own[first.taxonomy.index(label)])


def test_labels_that_have_the_same_documents_lie_together() -> None:
    texts = ["apple pear", "pear plum", "apple plum", "engine wheel", "wheel brake", "engine brake"] * 3
    labels = [["fruit", "food"]] * 3 + [["cars"]] * 3
    model = Classifier("linear", features={"min_documents": 1}).fit(texts, labels * 3)
    found = map_labels(model.system, model.manifest.seen)
    assert found.neighbours(found.ids.index("fruit"))[0] == ("food", pytest.approx(1.0, abs=1e-3))
    assert found.to_dict()["labels"][0]["nearest"][0]["cosine"] <= 1


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_equal_models_have_equal_maps(method: str) -> None:
    # one thread: with several, liblinear draws from one generator, and two fits are not equal
    first, second = (
        Classifier("linear", features={"min_documents": 1}, seed=3, runtime={"threads": 1}).fit(tiny_corpus())
        for _ in range(2)
    )
    a, b = (map_labels(model.system, model.manifest.seen, method=method) for model in (first, second))
    np.testing.assert_array_equal(a.places, b.places)
    svg = chart(a, first.system).svg()
    assert svg == chart(b, second.system).svg()
    for label in first.taxonomy.ids:
        assert f"<title>{label}</title>" in svg  # all under the pointer
    assert ">animals<" in svg.replace("</title>", "")  # the branch, below


def test_wrong_requests_are_answered_with_advice() -> None:
    model = tiny_fit("kim_cnn")
    with pytest.raises(ConfigError, match=r"vectors is 'haed'; kim_cnn has head.*Did you mean 'head'"):
        map_labels(model.system, model.manifest.seen, vectors="haed")
    with pytest.raises(ConfigError, match="method is 'umap'; choose pca or tsne"):
        map_labels(model.system, model.manifest.seen, method="umap")
    trees = tiny_fit("gru_att")
    with pytest.raises(ConfigError, match="gru_att has no vector for each label"):
        map_labels(trees.system, trees.manifest.seen)
