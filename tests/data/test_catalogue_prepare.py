"""The catalogue itself: entries, files of a release, the folder that is written."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases import Release, tarred, zipped
from taxotext.data import read_corpus
from taxotext.data.catalogue import DATASETS, Count, find_dataset, prepare_dataset
from taxotext.data.catalogue.entries import SPLITS, Findings
from taxotext.data.catalogue.raw import UNSAFE, Raw
from taxotext.data.catalogue.text import attributes, decode, unescape
from taxotext.errors import ConfigError, DataError
from taxotext.files import temporary_of

AAPD = {
    "text_train": "one\ntwo\n",
    "label_train": "a b\na\n",
    "text_val": "three\n",
    "label_val": "a\n",
    "text_test": "four\n",
    "label_test": "b\n",
}
SMALL = replace(
    find_dataset("aapd"),
    counts=(Count("train documents", 2, "x"), Count("documents", 4, "x"), Count("labels", 2, "x")),
)

# -- entries -------------------------------------------------------------------------------------------------------


def test_every_entry_is_complete_and_its_reader_exists() -> None:
    from importlib import import_module

    kinds = {"documents", "labels", "labels of the taxonomy", "labels of each level", "roots"}
    kinds |= {f"{split} documents" for split in SPLITS} | {f"labels in {split}" for split in SPLITS}
    assert len({dataset.name for dataset in DATASETS}) == len(DATASETS) == 11
    for dataset in DATASETS:
        assert callable(import_module(f"taxotext.data.catalogue.{dataset.reader}").read)
        assert dataset.summary
        assert dataset.terms
        assert dataset.obtain
        assert dataset.files
        options = dataset.parse_options([])
        expected = [count.what for count in dataset.expected(options)]
        assert len(expected) == len(set(expected)), dataset.name
        assert {"train documents", "test documents"} <= set(expected)
        for count in dataset.counts:
            assert count.what in kinds
            assert count.source
            assert set(count.when) <= set(options)


def test_labels_of_each_level_add_up() -> None:
    for dataset in DATASETS:
        for count in dataset.counts:
            if isinstance(count.value, tuple) and not count.when:
                total = next(c.value for c in dataset.counts if c.what in ("labels of the taxonomy", "labels"))
                assert sum(count.value) == total, dataset.name


def test_unknown_names_and_options_are_reported_together() -> None:
    with pytest.raises(ConfigError, match=r"no corpus 'rcv1'.*Did you mean 'rcv1-v2'"):
        find_dataset("rcv1")
    with pytest.raises(ConfigError) as error:
        find_dataset("multi-eurlex").parse_options(["lang=de", "level=5", "level", "language=de", "language=fr"])
    assert len(error.value.problems) == 4
    assert "'5' is not one of 3, 1, 2, all" in str(error.value)
    assert "language: is given twice" in str(error.value)


# -- the folder ----------------------------------------------------------------------------------------------------


def test_counts_as_published_pass_and_others_warn_with_both_numbers(release: Release) -> None:
    release.put(AAPD)
    release.prepare(SMALL, strict=True)
    assert release.notes == []
    assert [check["ok"] for check in release.facts["checks"]] == [True, True, True]
    release.prepare("aapd", overwrite=True)
    sentence = "Warning: not as published: train documents: 2 here, 53,840 published (Yang et al. 2018 (SGM))."
    assert sentence in release.notes
    before = release.text("prepared.json")
    with pytest.raises(DataError, match="nothing is written because of strict=True") as error:
        release.prepare("aapd", strict=True, overwrite=True)
    assert len(error.value.problems) == 5
    assert release.text("prepared.json") == before


def test_documents_without_text_may_count_or_not() -> None:
    from taxotext.data.catalogue.checks import SplitCounts, compare, counts

    found = counts({"train": SplitCounts(documents=3, without_text=1)}, None)
    for published, fits in ((3, True), (4, True), (5, False)):
        (check,) = compare([Count("train documents", published, "x")], found)
        assert (check.found, check.ok) == (3, fits)


def test_inputs_are_named_with_their_hashes(release: Release) -> None:
    release.put(AAPD)
    source = release.prepare(SMALL)["source"]
    assert source["path"] == str(release.raw)
    files = {file["file"]: (file["bytes"], file["sha256"]) for file in source["files"]}
    assert sorted(files) == sorted(AAPD)
    assert files["text_val"] == (6, hashlib.sha256(b"three\n").hexdigest())


def test_packed_output_is_the_same_each_time_and_can_be_read(release: Release) -> None:
    release.put(AAPD)
    release.prepare(SMALL, packed=True)
    first = (release.output / "train.jsonl.gz").read_bytes()
    release.prepare(SMALL, packed=True, overwrite=True)
    assert (release.output / "train.jsonl.gz").read_bytes() == first
    assert json.loads(gzip.decompress(first).splitlines()[0]) == {"text": "one", "labels": ["a", "b"]}
    assert read_corpus(release.output / "train.jsonl.gz").label_lists() == [["a", "b"], ["a"]]


def test_nothing_that_exists_is_replaced_without_being_asked(release: Release) -> None:
    release.put(AAPD)
    release.output.mkdir()
    release.prepare(SMALL)
    with pytest.raises(DataError, match="already exists"):
        release.prepare(SMALL)
    (release.output / "prepared.json").unlink()
    with pytest.raises(DataError, match="holds other files than a prepared corpus"):
        release.prepare(SMALL, overwrite=True)
    assert (release.output / "train.jsonl").exists()


def test_raw_and_output_must_not_lie_in_one_another(release: Release) -> None:
    release.put(AAPD)
    for output in (release.raw, release.raw / "out", release.raw.parent):
        with pytest.raises(DataError, match="contain one another"):
            prepare_dataset(SMALL, release.raw, output, overwrite=True)
    release.output.write_text("x")
    with pytest.raises(DataError, match="is a file"):
        release.prepare(SMALL)


def test_a_failure_leaves_nothing_and_the_old_folder_as_it_was(release: Release) -> None:
    release.put(AAPD)
    release.prepare(SMALL)
    before = sorted((path.name, path.read_bytes()) for path in release.output.iterdir())
    release.put({"label_test": "b\nb\n"})
    with pytest.raises(DataError, match="label_test does not"):
        release.prepare(SMALL, overwrite=True)
    assert sorted((path.name, path.read_bytes()) for path in release.output.iterdir()) == before
    assert sorted(path.name for path in release.raw.parent.iterdir()) == ["output", "raw"]


def test_what_killed_processes_left_is_removed_or_brought_back(release: Release) -> None:
    release.put(AAPD)
    release.prepare(SMALL)
    release.output.rename(release.output.with_name(".output.old"))  # killed between two renames
    ours = temporary_of(release.output)
    stale = ours.with_name(ours.name.replace(f".{os.getpid()}.", ".999999999."))
    stale.mkdir()
    with pytest.raises(DataError, match="already exists"):
        release.prepare(SMALL)
    release.prepare(SMALL, overwrite=True)
    assert sorted(path.name for path in release.raw.parent.iterdir()) == ["output", "raw"]


def test_texts_and_labels_are_cleaned_and_counted(release: Release) -> None:
    release.put({**AAPD, "text_train": "one\x00\x0b two\n \x01 \n", "label_train": "a a\nb\n"})
    facts = release.prepare(SMALL)
    assert release.rows("train") == [{"text": "one two", "labels": ["a"]}]
    assert facts["changes"] == {"records with control characters, which were dropped": 2}
    assert facts["splits"]["train"]["left_out_without_text"] == 1
    assert facts["splits"]["train"]["duplicate_labels_removed"] == 1
    assert read_corpus(release.output / "train.jsonl").texts == ("one two",)


# -- files of a release --------------------------------------------------------------------------------------------


def test_nothing_at_raw_and_nothing_of_the_release_are_one_sentence(release: Release) -> None:
    with pytest.raises(DataError, match="there is no such folder or archive"):
        release.prepare(SMALL, raw=release.raw / "none")
    with pytest.raises(DataError, match="Found: no file"):
        release.prepare(SMALL)
    release.put({f"file{n}.txt": "x" for n in range(8)})
    with pytest.raises(DataError) as error:
        release.prepare(SMALL)
    assert str(error.value) == (
        f"{release.raw}: text_train is missing: AAPD needs text_train, label_train, text_val, label_val, text_test and "
        "label_test. Found: file0.txt, file1.txt, file2.txt, file3.txt, file4.txt and 3 more."
    )


@pytest.mark.parametrize("pack", [zipped, tarred], ids=["zip", "tar.gz"])
def test_members_with_unsafe_paths_are_passed_over(release: Release, pack: object) -> None:
    good = {f"aapd/{name}": text.encode() for name, text in AAPD.items()}
    bad = {"../text_train": b"evil\n", "/text_train": b"evil\n", "a/../../label_train": b"evil\n"}
    archive = release.raw / ("a.zip" if pack is zipped else "a.tar.gz")
    archive.write_bytes(pack(bad | good))  # type: ignore[operator]
    facts = release.prepare(SMALL, strict=True)
    assert facts["changes"] == {UNSAFE: 3}
    assert [row["text"] for row in release.rows("train")] == ["one", "two"]
    assert sorted(path.name for path in release.raw.parent.iterdir()) == ["output", "raw"]


def test_links_in_archives_are_not_followed(release: Release) -> None:
    import io
    import tarfile

    (release.raw.parent / "secret").write_text("secret\n")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("text_train")
        entry.type, entry.linkname = tarfile.SYMTYPE, "../secret"
        archive.addfile(entry)
    (release.raw / "a.tgz").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="text_train is missing"):
        release.prepare(SMALL)


def test_damaged_archives_are_named(release: Release) -> None:
    good = tarred({name: (text * 500).encode() for name, text in AAPD.items()})
    for name, data in (("a.tar.gz", good[: len(good) // 2]), ("b.tgz", b"\x1f\x8bnothing"), ("c.zip", b"PK\x03\x04")):
        (release.raw / name).write_bytes(data)
        with pytest.raises(DataError, match=rf"{name}.*is damaged or cut short|{name}.*cannot be read"):
            release.prepare(SMALL)
        (release.raw / name).unlink()
    release.put(AAPD)
    (release.raw / "text_train").unlink()
    (release.raw / "text_train.gz").write_bytes(gzip.compress(os.urandom(5000))[:-2000])
    with pytest.raises(DataError, match=r"text_train\.gz: is damaged"):
        release.prepare(SMALL)


def test_locked_archives_are_named(release: Release) -> None:
    path = release.raw / "a.zip"
    path.write_bytes(zipped({name: text.encode() for name, text in AAPD.items()}))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # set the flag of encryption
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + offset] |= 1
            start += 4
    path.write_bytes(bytes(data))
    assert zipfile.ZipFile(path).infolist()[0].flag_bits & 1
    with pytest.raises(DataError, match=r"a\.zip!text_train: cannot be unpacked"):
        release.prepare(SMALL)


def test_patterns_match_ends_of_paths_packed_or_not(tmp_path: Path) -> None:
    for name in ("x/train/1.json", "x/dev/1.json.gz", "train.jsonl.xz", ".hidden/train.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(b"{}") if name.endswith("gz") else b"{}")
    raw = Raw(tmp_path, SMALL, Findings())
    found = raw.find("TRAIN.jsonl")
    assert found is not None
    assert (found.base, raw.find("nothing.txt")) == ("train.jsonl.xz", None)
    assert [path for path, _ in raw.walk("train/*.json")] == ["x/train/1.json"]
    assert list(raw.walk("*.json")) == [("x/dev/1.json.gz", b"{}"), ("x/train/1.json", b"{}")]
    assert raw.has("dev/*.json")
    assert not raw.has("test/*.json")


# -- text ----------------------------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_text_comes_back(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert unescape(escaped) == text
    assert unescape("".join(f"&#{ord(sign)};" for sign in text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "\r" not in text))
def test_any_bytes_become_text_with_line_feeds(text: str) -> None:
    findings = Findings()
    assert decode(text.encode(), findings) == text.removeprefix("\ufeff")
    assert decode(text.replace("\n", "\r\n").encode("utf-16"), findings) == text
    assert not findings.counts
    decode(b"caf\xe9 " + text.encode("latin-1", "ignore"), findings)
    assert sum(findings.counts.values()) == 1


def test_attributes_are_found_in_any_order() -> None:
    assert attributes(' TOPICS="YES" newid = "12" CSECS="a&amp;b"') == {"TOPICS": "YES", "NEWID": "12", "CSECS": "a&b"}


def test_the_page_shows_every_corpus_with_its_published_sizes() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "public-data.md"
    rows = {
        line.split("|")[1].strip(" `"): line for line in page.read_text(encoding="utf-8").splitlines() if "|" in line
    }
    for dataset in DATASETS:
        expected = {count.what: count.value for count in dataset.expected(dataset.parse_options([]))}
        sizes = [f"{expected[f'{split} documents']:,}" for split in SPLITS if f"{split} documents" in expected]
        assert f"| {' / '.join(sizes)} |" in rows[dataset.name]
        for option in dataset.options:
            assert f"`{option.name}={option.values[0]}`" in rows[dataset.name]
