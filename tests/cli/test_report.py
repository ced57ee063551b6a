"""``taxotext report``: one page that loads nothing, from a corpus or from held-out scores."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.tiny import tiny_corpus, tiny_fit

from command import SAMPLE, Command
from taxotext import load, read_corpus
from taxotext.decoding import Decoder


class Page(HTMLParser):
    """Headings, cells of tables, links and texts of a page."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: str | None = None
        self.feed(Path(path).read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("h1", "h2", "h3", "td", "th", "style"):
            self._open = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open in ("h1", "h2", "h3"):
            self.headings[-1] += data
        elif self._open in ("td", "th"):
            self.rows[-1][-1] += data
        if self._open != "style":
            self.text += data


def test_a_report_on_a_corpus_has_every_section_and_the_figures_of_evaluate(
    command: Command, sample_model: Path
) -> None:
    command("report", sample_model, "--corpus", SAMPLE / "test.jsonl", "--output", "report.html").ok()
    page = Page("report.html")
    sections = ["Learning, thresholds, calibration", "Levels", "Labels", "Confusion among siblings"]
    sections += ["Worst documents", "Map of the labels", "Costs"]
    assert [one for one in page.headings if one in sections] == sections
    model = load(sample_model)
    corpus = read_corpus(SAMPLE / "test.jsonl", model.taxonomy, closure=model.manifest.trained_on.get("closure"))
    metrics = model.evaluate(corpus, per_label=True)
    head, summary = page.rows[:2]
    assert summary[head.index("micro-F1, %")] == f"{100 * metrics['micro_f1']:.1f}"
    assert summary[head.index("set accuracy, %")] == f"{100 * metrics['set_accuracy']:.1f}"
    per_label = {model.taxonomy.name(model.taxonomy.index(row["id"])): row for row in metrics["per_label"]}
    start = next(place for place, row in enumerate(page.rows) if row[:2] == ["label", "F1, %"])
    shown = page.rows[start + 1 : start + 6]
    for row in shown:
        expected = per_label[row[0]]
        assert row[1] == f"{100 * expected['f1']:.1f}"
        assert row[4] == f"{expected['support']:,}"
    assert re.search(r"\w+ [+−]0\.\d{3} · ", page.text)  # words that are explained
    levels = {row[0]: row for row in page.rows if row[0].startswith("level ")}
    assert levels["level 1"][1] == f"{100 * metrics['level_1_micro_f1']:.1f}"


def test_the_page_loads_nothing_and_escapes_texts(command: Command, sample_model: Path) -> None:
    corpus = [json.loads(line) for line in (SAMPLE / "test.jsonl").read_text(encoding="utf-8").splitlines()[:8]]
    for record in corpus:
        record["text"] += " <script>alert('x')</script> & more"
        record["labels"] = ["printing"]
    Path("strange.jsonl").write_text("\n".join(map(json.dumps, corpus)), encoding="utf-8")
    command("report", sample_model, "--corpus", "strange.jsonl", "--output", "report.html").ok()
    page, content = Page("report.html"), Path("report.html").read_text(encoding="utf-8")
    assert {"script", "img", "link", "iframe"}.isdisjoint(page.tags)
    assert not re.search(r'(src|href)="(?!#)|url\((?!#)|@import', content)
    assert "<script>alert('x')</script> & more" in page.text


def test_without_a_corpus_the_held_out_scores_are_reported_on(command: Command, sample_model: Path) -> None:
    command("report", sample_model, "--output", "report.html").ok()
    page, model = Page("report.html"), load(sample_model)
    held: Any = model.manifest.held_out
    assert f"Measured on {held.gold.shape[0]} documents of {held.source}" in page.text
    assert "The folder keeps no texts; --corpus FILE shows them" in page.text
    head, summary = page.rows[:2]
    sets = Decoder(model.decoding, model.taxonomy).sets(held.block(slice(None))).toarray()
    gold = held.gold.toarray()
    f1 = 2 * (sets & gold).sum() / (sets.sum() + gold.sum())
    assert f1 > 0
    assert summary[head.index("micro-F1, %")] == f"{100 * f1:.1f}"


def test_several_models_are_compared_in_the_summary(command: Command, tmp_path: Path) -> None:
    tiny = tiny_fit("kim_cnn", training={"epochs": 3})
    tiny.save(tmp_path / "words")
    again = tiny_fit("sgm", training={"epochs": 3})
    again.save(tmp_path / "sequence")
    documents = tiny_corpus(30, seed=9)
    lines = [
        json.dumps({"text": text, "labels": labels})
        for text, labels in zip(documents.texts, documents.label_lists(), strict=True)
    ]
    Path("tiny.jsonl").write_text("\n".join(lines), encoding="utf-8")
    command("report", "words", "sequence", "--corpus", "tiny.jsonl", "--output", "both.html", "--worst", "2").ok()
    page = Page("both.html")
    assert page.headings[0] == "Report on 2 models"
    assert [row[:2] for row in page.rows[1:3]] == [["words", "kim_cnn"], ["sequence", "sgm"]]
    assert page.headings.count("Labels") == 2
    content = Path("both.html").read_text(encoding="utf-8")
    together = content.partition("Learning: micro-F1 of validation documents")[2].partition("</svg>")[0]
    assert {"words", "sequence"} <= set(re.findall(r"(words|sequence): [\d.]+, [\d.]+", together))  # both in one chart
    assert Path("both.html").read_text(encoding="utf-8").count("Learning: scores of validation documents") >= 2


def test_a_run_and_an_experiment_stand_for_their_models(command: Command, sample_model: Path) -> None:
    shutil.copytree(sample_model, "model")
    Path("model.run").mkdir()
    for key in ("0123456789abcdef", "fedcba9876543210"):  # the latter with settings that the file had before
        shutil.copytree(sample_model, f"study/cells/linear_sample_13_{key}/model")
    Path("study/experiment.json").write_text('{"cells": [{"key": "0123456789abcdef"}]}')
    command("report", "model.run", "study", "--output", "report.html", "--worst", "0").ok()
    assert [row[0] for row in Page("report.html").rows[1:4]] == ["model", "linear_sample_13", "level"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "--output", "a.html"], "nowhere: there is no such folder"),
        (["empty", "--output", "a.html"], "empty: is not a model folder, run folder or experiment"),
        (["open.run", "--output", "a.html"], "open.run: the training has no model yet; `taxotext status open`"),
        (["study", "--output", "a.html"], "study: no cell of this experiment has a model yet"),
        (["MODEL", "--output", "a.pdf"], "--output a.pdf: is a page; name a file that ends in .html."),
        (["MODEL", "--output", "there.html"], "there.html: already exists"),
        (["MODEL", "--corpus", "missing.jsonl", "--output", "a.html"], "missing.jsonl"),
    ],
)
def test_mistakes_are_answered_with_advice(
    command: Command, sample_model: Path, arguments: list[str], sentence: str
) -> None:
    for folder in ("empty", "open.run", "study"):
        Path(folder).mkdir()
    Path("study/experiment.json").write_text("{}")
    Path("there.html").write_text("mine")
    given = [str(sample_model) if one == "MODEL" else one for one in arguments]
    command("report", *given).refused(sentence)
    assert not Path("a.html").exists()


def test_a_folder_without_held_out_scores_asks_for_a_corpus(command: Command, sample_model: Path) -> None:
    shutil.copytree(sample_model, "model")
    Path("model/heldout.safetensors").unlink()
    command("report", "model", "--output", "a.html").refused("keeps no scores of held-out documents", "--corpus FILE")
