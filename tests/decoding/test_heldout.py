"""Held-out scores: what is kept of blocks, fingerprints of documents, and files with and without them."""

from __future__ import annotations

import tracemalloc
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array

from taxotext.decoding import ScoreBlock
from taxotext.decoding.heldout import FLOOR, HeldOut, fingerprints, salt_of
from taxotext.errors import ModelFolderError

TEXTS = ["a cat", "a dog", "кот"]
GOLD = csr_array(np.array([[1, 0], [0, 1], [0, 0]], dtype=bool))
SCORES = np.array([[0.5, 0.0005], [0.25, 0.75], [0.0, 1.0]], dtype=np.float32)


def held_out(texts: list[str] | None = TEXTS) -> HeldOut:
    return HeldOut.from_blocks([SCORES[:2], SCORES[2:]], GOLD, "three texts", texts=texts)


def test_candidates_above_the_floor_are_kept_of_both_kinds_of_block() -> None:
    sparse = ScoreBlock(csr_array(SCORES))
    for blocks in ([SCORES], [ScoreBlock(SCORES)], [sparse.rows(slice(0, 1)), sparse.rows(slice(1, 3))]):
        found = HeldOut.from_blocks(blocks, GOLD, "three texts").scores
        assert found.toarray().tolist() == [[0.5, 0.0], [0.25, 0.75], [0.0, 1.0]]
        assert found.nnz == 4
    assert FLOOR < 0.25


def test_a_fingerprint_is_the_keyed_hash_of_the_text() -> None:
    salt = "00ff" * 8
    expected = [blake2b(text.encode(), digest_size=8, key=bytes.fromhex(salt)).digest() for text in TEXTS]
    assert fingerprints(TEXTS, salt).tolist() == [int.from_bytes(digest, "little") for digest in expected]
    assert fingerprints([], salt).tolist() == []


def test_documents_are_known_again_by_their_text_and_under_one_salt_only() -> None:
    one, two = held_out(), HeldOut.from_blocks([SCORES], GOLD, "the same", texts=[*TEXTS[::-1]])
    assert one.salt != two.salt
    assert one.fingerprints is not None
    assert set(one.fingerprints.tolist()) & set(two.fingerprints if two.fingerprints is not None else ()) == set()
    again = fingerprints(TEXTS[::-1], one.salt)
    assert again.tolist() == one.fingerprints[::-1].tolist()
    assert one.salt == held_out().salt == salt_of(TEXTS)


def test_training_documents_are_kept_under_the_same_salt_in_no_order() -> None:
    found = held_out().with_trained(["x", "a dog", "y"])
    assert found.trained is not None
    assert found.trained.tolist() == sorted(fingerprints(["x", "a dog", "y"], found.salt).tolist())
    assert found.fingerprints is not None
    assert np.intersect1d(found.trained, found.fingerprints).tolist() == [int(found.fingerprints[1])]
    without = held_out(None).with_trained(["x"])
    assert (without.fingerprints, without.salt) == (None, salt_of(["x"]))


def test_fingerprints_are_read_back_and_equal_models_are_equal_files(tmp_path: Path) -> None:
    one = held_out().with_trained(["x", "y"])
    one.save(tmp_path / "one")
    held_out().with_trained(["y", "x"]).save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    again = HeldOut.load(tmp_path / "one", 2)
    assert (again.salt, again.source) == (one.salt, "three texts")
    for name in ("fingerprints", "trained"):
        assert getattr(again, name).tolist() == getattr(one, name).tolist()


def test_the_sets_that_a_system_decided_on_are_kept(tmp_path: Path) -> None:
    sets = csr_array(np.array([[0, 1], [0, 0], [1, 1]], dtype=bool))
    blocks = [ScoreBlock(SCORES[part], sets[part]) for part in (slice(0, 2), slice(2, 3))]
    one = HeldOut.from_blocks(blocks, GOLD, "three texts")
    one.save(tmp_path / "file")
    for found in (one, HeldOut.load(tmp_path / "file", 2)):
        block = found.block(slice(1, 3))
        assert block.sets is not None
        assert block.sets.toarray().tolist() == [[False, False], [True, True]]
        assert block.row(0)[1].tolist() == [0.25, 0.75]
    assert held_out().decided is None


def test_files_of_earlier_versions_have_no_fingerprints(tmp_path: Path) -> None:
    held_out().save(tmp_path / "new")
    tensors = load_file(tmp_path / "new")
    old = {name: tensors[name] for name in tensors if name not in {"fingerprints", "salt"}}
    save_file(old, tmp_path / "old", metadata={"source": "three texts"})
    again = HeldOut.load(tmp_path / "old", 2)
    assert (again.fingerprints, again.salt, again.trained) == (None, "", None)
    assert again.scores.nnz == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fingerprints", np.zeros(2, np.uint64)),
        ("fingerprints", np.zeros(3, np.float32)),
        ("salt", np.zeros(100, np.uint8)),
        ("trained.fingerprints", np.zeros((2, 2), np.uint64)),
    ],
)
def test_damaged_fingerprints_are_refused(tmp_path: Path, name: str, value: np.ndarray) -> None:
    held_out().with_trained(["x"]).save(tmp_path / "file")
    save_file({**load_file(tmp_path / "file"), name: value}, tmp_path / "file")
    with pytest.raises(ModelFolderError, match=f"'{name}'"):
        HeldOut.load(tmp_path / "file", 2)


def test_an_array_of_two_dimensions_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "heldout.safetensors"
    held_out().save(path)
    tensors = load_file(path)
    tensors["scores.indices"] = np.zeros((20_000_000, 4), np.int8)
    save_file(tensors, path)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFolderError, match=r"'scores.indices' has the shape \(20000000, 4\)"):
            HeldOut.load(path, 2)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
