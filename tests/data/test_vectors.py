"""Word vectors: both text formats, words with blanks, and every kind of damage named by its line."""

from __future__ import annotations

import gzip
import hashlib
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.data.vectors import read_vectors
from taxotext.errors import DataError

LINES = ["cat 1 2 3", "dog -0.5 2.5e-1 4", "Paris 7 8 9", ". . 1 1 1", "the 0 0 0"]


def write(folder: Path, text: str, name: str = "v.txt") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["v.txt", "v.txt.gz", "v.vec"])
@pytest.mark.parametrize("header", ["", "5 3\n"], ids=["GloVe", "word2vec"])
def test_vectors_of_the_wanted_words_are_read(name: str, header: str, tmp_path: Path) -> None:
    path = write(tmp_path, header + "\n".join(LINES) + "\n", name)
    found = read_vectors(path, ["dog", "bird", "cat", "rome", ". ."])
    assert found.matrix.tolist() == [[-0.5, 0.25, 4], [0, 0, 0], [1, 2, 3], [0, 0, 0], [1, 1, 1]]
    assert found.matrix.dtype == np.float32
    assert found.found.tolist() == [True, False, True, False, True]
    assert found.vectors == 5
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_case_is_folded_and_the_same_case_is_preferred(tmp_path: Path) -> None:
    path = write(tmp_path, "Paris 1\nPARIS 2\nCat 3\ncat 4\n")
    found = read_vectors(path, ["paris", "cat", "dog"])
    assert found.matrix[:, 0].tolist() == [1, 4, 0]


def test_the_first_of_two_equal_words_counts_and_letters_are_composed(tmp_path: Path) -> None:
    path = write(tmp_path, "cafe\u0301 1 2\ncafé 3 4\n\n猫 5 6\n")
    assert read_vectors(path, ["café", "猫"]).matrix.tolist() == [[1, 2], [5, 6]]


def test_blanks_at_the_end_of_lines_and_between_numbers_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, "cat 1 2 \r\ndog  3  4\nowl\t5\t6\n")
    assert read_vectors(path, ["owl", "dog", "cat"]).matrix.tolist() == [[5, 6], [3, 4], [1, 2]]


def test_vectors_of_one_number_and_none_of_the_words(tmp_path: Path) -> None:
    path = write(tmp_path, "cat 1\ndog 2\n")
    assert read_vectors(path, ["dog"]).matrix.tolist() == [[2]]
    assert read_vectors(path, ["owl"]).found.tolist() == [False]
    assert read_vectors(path, []).matrix.shape == (0, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "v.txt: holds no word vectors"),
        ("\n\n", "v.txt: holds no word vectors"),
        ("3 2\n", "v.txt: holds no word vectors"),
        ("cat\ndog\n", "v.txt:1: is not a word with its numbers (got 'cat')"),
        ("cat,1,2\n", "v.txt:1: is not a word with its numbers"),
        ("a text of some words\n", "v.txt:1: is not a word with its numbers"),
        ("cat 1 2\ndog 1\n", "v.txt:2: 1 numbers instead of 2 (got 'dog 1')"),
        ("cat 1 2\ndog\n", "v.txt:2: 0 numbers instead of 2"),
        ("cat 1 2\ndog 1 x\n", "v.txt:2: 'x' is not a finite number"),
        ("cat 1 2\nowl 1 2\ndog nan 1\n", "v.txt:3: 'nan' is not a finite number"),
        ("cat 1 2\ndog 1 1e99\n", "v.txt:2: '1e99' is not a finite number"),
        ("cat 1 2\ndog 1 ½\n", "v.txt:2: '½' is not a finite number"),
        ("3 2\ncat 1 2\ndog 1 2\n", "v.txt:1: announces 3 vectors, but 2 follow"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_vectors(path, ["dog", "cat"])
    assert sentence in str(caught.value)


def test_missing_cut_and_mistaken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"glove\.txt: no such file"):
        read_vectors(tmp_path / "glove.txt", ["cat"])
    packed = gzip.compress("\n".join(f"w{i} {i} 0.5" for i in range(9000)).encode())
    (tmp_path / "cut.gz").write_bytes(packed[:-2000])
    with pytest.raises(DataError, match=r"cut\.gz: the compressed file breaks off after line \d+"):
        read_vectors(tmp_path / "cut.gz", ["cat"])
    (tmp_path / "no.gz").write_text("cat 1 2\n")
    with pytest.raises(DataError, match=r"no\.gz: this is not a gzip file"):
        read_vectors(tmp_path / "no.gz", ["cat"])


def test_damage_in_words_that_nobody_asks_for_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(b"cat 1 2\n\xff\xfe 3 4\nowl x y\n")
    assert read_vectors(path, ["cat"]).matrix.tolist() == [[1, 2]]


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text(alphabet="aäñ猫b.'", min_size=1, max_size=4),
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3),
        min_size=1,
        max_size=8,
    )
)
def test_any_written_vectors_come_back(
    tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, list[float]]
) -> None:
    vectors = {unicodedata.normalize("NFC", word): numbers for word, numbers in vectors.items()}
    path = tmp_path_factory.mktemp("v") / "v.txt"
    path.write_text("".join(f"{w} {' '.join(map(repr, row))}\n" for w, row in vectors.items()), encoding="utf-8")
    found = read_vectors(path, list(vectors))
    assert found.found.all()
    np.testing.assert_allclose(found.matrix, np.asarray(list(vectors.values()), np.float32), rtol=1e-6)


def test_real_vectors_are_read(real_data: Callable[[str], Path]) -> None:
    path = real_data("glove-twitter-25d/glove.twitter.27B.25d.12k.txt.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        expected = {line.split(" ", 1)[0]: line.split(" ")[1:] for line in file}
    found = read_vectors(path, list(expected))
    assert (found.vectors, found.matrix.shape) == (11925, (11925, 25))
    assert found.found.all()
    rows = list(expected.values())
    ends = [[float(number) for number in row] for row in (rows[0], rows[-1])]
    np.testing.assert_allclose(found.matrix[[0, 11924]], ends, rtol=1e-6)
