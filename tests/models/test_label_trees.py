"""omikuji as a library: trained apart, silent, asked by threads, and its files read with care."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import taxotext
from taxotext.errors import MissingExtraError, ModelFolderError, TrainingError
from taxotext.models import label_trees
from taxotext.models.label_tree_worker import library
from taxotext.models.label_trees import SETTINGS, Forest, count_weights, train, write_examples

DOCUMENTS, FEATURES, LABELS = 300, 90, 60
HYPER_PARAMETERS = {"n_trees": 2, "min_branch_size": 10, "linear_weight_threshold": 0.0}


def examples(seed: int = 0) -> tuple[csr_array, csr_array]:
    """Each label has a feature of its own; others are noise. Rows of length 1."""
    rng = np.random.default_rng(seed)
    features, targets = np.zeros((DOCUMENTS, FEATURES)), np.zeros((DOCUMENTS, LABELS), bool)
    for row in range(DOCUMENTS):
        chosen = [row % LABELS, int(rng.integers(LABELS))]
        targets[row, chosen] = True
        features[row, chosen] = 1.0
        features[row, rng.integers(LABELS, FEATURES, 4)] = rng.random(4)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return csr_array(features), csr_array(targets)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a small forest was saved by its training."""
    place = tmp_path_factory.mktemp("forest")
    write_examples(place / "examples.txt", *examples())
    train(place / "examples.txt", place / "trees", HYPER_PARAMETERS, 1)
    return place / "trees"


def test_examples_are_written_in_the_format_of_the_repository(tmp_path: Path) -> None:
    features = csr_array(np.array([[0.0, 0.5, 0.1], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    targets = csr_array(np.array([[True, False, True, True], [False, True, False, False], [False] * 4]))
    write_examples(tmp_path / "examples.txt", features, targets)
    assert (tmp_path / "examples.txt").read_text() == "3 3 4\n0,2,3 1:0.5 2:0.100000001\n1\n 0:1\n"
    assert np.float32("0.100000001") == np.float32(0.1)  # nine digits are enough for any float32


def test_candidates_are_those_of_omikuji_by_hand(folder: Path) -> None:
    features, _ = examples(seed=1)
    model = library().Model.load(str(folder))
    for threads, beam_size, count in ((1, 10, 60), (3, 2, 7)):
        block = Forest(folder, threads).candidates(features, LABELS, beam_size, count)
        assert block.shape == (DOCUMENTS, LABELS)
        assert block.dtype == np.float32
        assert block.has_canonical_format
        for row in range(DOCUMENTS):
            pairs = [
                (index, features[row, index]) for index in features.indices[slice(*features.indptr[row : row + 2])]
            ]
            expected = dict(model.predict(pairs, beam_size, count))
            part = slice(*block.indptr[row : row + 2])
            assert dict(zip(block.indices[part].tolist(), block.data[part].tolist(), strict=True)) == expected
            assert len(expected) <= count


def test_documents_without_features_and_no_documents_have_scores_too(folder: Path) -> None:
    forest = Forest(folder, 1)
    block = forest.candidates(csr_array((2, FEATURES)), LABELS, 10, 5)
    assert np.diff(block.indptr).tolist() == [5, 5]
    assert forest.candidates(csr_array((0, FEATURES)), LABELS, 10, 5).shape == (0, LABELS)


def test_a_score_of_zero_is_still_a_candidate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forest = Forest(folder, 1)

    class Fixed:
        def predict(self, pairs: Any, beam_size: int, count: int) -> list[tuple[int, float]]:
            return [(9, 1.0000001), (3, 0.0)]

    monkeypatch.setattr(forest, "_model", Fixed())
    block = forest.candidates(csr_array((1, FEATURES)), LABELS, 10, 5)
    assert block.indices.tolist() == [3, 9]
    assert block.data.tolist() == [0.0, 1.0]
    with pytest.raises(ModelFolderError, match="know label 9, the taxonomy has 9 labels"):
        forest.candidates(csr_array((1, FEATURES)), 9, 10, 5)


def test_progress_counts_the_classifiers(tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.txt", *examples())
    steps: list[int] = []
    train(tmp_path / "examples.txt", tmp_path / "trees", {**HYPER_PARAMETERS, "n_trees": 1}, 1, steps.append)
    # One for each label, and those of the edges between the nodes: with nodes of 10 labels at least, 2 to 14.
    assert LABELS + 2 <= sum(steps) <= LABELS + 14
    assert min(steps) > 0


def test_omikuji_prints_nothing_where_it_is_loaded(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from taxotext.models.label_trees import Forest; "
        "Forest(Path(sys.argv[1]), 1).save(Path(sys.argv[2]))"
    )
    paths = [str(Path(taxotext.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(folder.parent / "copy")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    assert (folder.parent / "copy" / SETTINGS).is_file()


def test_saved_trees_are_named_by_their_content(folder: Path, tmp_path: Path) -> None:
    """omikuji reads them in the order of the file system, which differs from copy to copy."""
    names = Forest(folder, 1).save(tmp_path / "once")
    assert names == ["settings.json", "tree0.cbor", "tree1.cbor"]
    exchanged = tmp_path / "exchanged"
    exchanged.mkdir()
    for source, target in (
        ("settings.json", "settings.json"),
        ("tree0.cbor", "tree1.cbor"),
        ("tree1.cbor", "tree0.cbor"),
    ):
        (exchanged / target).write_bytes((tmp_path / "once" / source).read_bytes())
    assert Forest(exchanged, 1).save(tmp_path / "again") == names
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_links_are_followed_as_in_the_cache_of_the_hub(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    assert Forest(tmp_path, 1).trees == HYPER_PARAMETERS["n_trees"]


def test_files_that_omikuji_cannot_read_are_an_error(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ModelFolderError, match=r"omikuji cannot read the trees; save the model again"):
        Forest(tmp_path, 1)


def test_a_training_that_omikuji_gives_up_is_an_error_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "examples.txt").write_text("2 3 4\n0 1:0.5\n0 7:0.5\n")
    with pytest.raises(TrainingError, match=r"omikuji ended while it trained the trees: .*Failed to .* data file"):
        train(tmp_path / "examples.txt", tmp_path / "trees", {}, 1)
    (tmp_path / "examples.txt").write_text("1 3 4\n0 1:0.5\n")
    with pytest.raises(TrainingError, match=r"omikuji ended while it trained the trees: .*min_branch_size"):
        train(tmp_path / "examples.txt", tmp_path / "trees", {"min_branch_size": 0}, 1)


def test_the_training_ends_with_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt leaves no process behind."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> Any:
        started.append(real(*arguments, **options))
        return started[-1]

    def interrupted(fitted: int) -> None:
        assert started[0].poll() is None
        raise KeyboardInterrupt

    monkeypatch.setattr(label_trees.subprocess, "Popen", popen)
    write_examples(tmp_path / "examples.txt", *examples())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "examples.txt", tmp_path / "trees", {**HYPER_PARAMETERS, "n_trees": 300}, 1, interrupted)
    assert started[0].poll() is not None
    assert not (tmp_path / "trees").exists()


def test_without_omikuji_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"needs omikuji; install it with `pip install 'taxotext\[linear-tree\]'`"
    ):
        library()


# -- counting weights: beside a reader of the format ---------------------------------------------------------------


def read_cbor(content: bytes, at: int = 0) -> tuple[Any, int]:
    """The value at a position and where the next one starts (RFC 8949, what serde_cbor writes of it)."""
    kind, small = content[at] >> 5, content[at] & 31
    at += 1
    if kind == 7:
        if small in (20, 21, 22):
            return None, at
        width, code = {25: (2, ">e"), 26: (4, ">f"), 27: (8, ">d")}[small]
        return struct.unpack(code, content[at : at + width])[0], at + width
    if small < 24:
        number = small
    else:
        width = 1 << (small - 24)
        number, at = int.from_bytes(content[at : at + width], "big"), at + width
    if kind == 0:
        return number, at
    if kind == 3:
        return content[at : at + number].decode(), at + number
    found = []
    for _ in range(number * (2 if kind == 5 else 1)):
        value, at = read_cbor(content, at)
        found.append(value)
    return (dict(zip(found[::2], found[1::2], strict=True)) if kind == 5 else found), at


def weights_of(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(weights_of, value))
    if isinstance(value, dict):
        return sum(len(inner) if key == "data" else weights_of(inner) for key, inner in value.items())
    return 0


@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_weights_are_counted_as_a_reader_of_the_format_finds_them(threshold: float, tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.txt", *examples())
    train(tmp_path / "examples.txt", tmp_path / "trees", {**HYPER_PARAMETERS, "linear_weight_threshold": threshold}, 1)
    expected = 0
    for path in (tmp_path / "trees").glob("tree*.cbor"):
        content = path.read_bytes()
        tree, end = read_cbor(content)
        assert end == len(content)
        expected += weights_of(tree)
    assert count_weights(tmp_path / "trees") == expected > LABELS
