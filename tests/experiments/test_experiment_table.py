"""The table: means, deviations, differences, published metrics, in four forms."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.sparse import csr_array

from lab import Lab
from taxotext import load, read_corpus, read_taxonomy
from taxotext.errors import DataError
from taxotext.experiments import output as output_module
from taxotext.experiments.folder import ExperimentFolder, write_json
from taxotext.experiments.output import FORMS, write_tables
from taxotext.experiments.page import level_charts, page
from taxotext.experiments.predictions import CellPredictions
from taxotext.experiments.summary import COSTS, summarise
from taxotext.experiments.tables import csv_table, markdown, notes_of
from taxotext.files.json_files import read_json_or_none
from taxotext.metrics import evaluate

PUBLISHED = {
    "corpus": "tiny",
    "source": "A paper | Table 2",
    "split": "theirs <other>",
    "metrics": {"micro_f1": 0.5, "macro_f1": 0.25},
}


@pytest.fixture
def summary(computed: ExperimentFolder) -> dict[str, Any]:
    return summarise(computed)


def test_means_and_deviations_are_those_of_the_cells(computed: ExperimentFolder, summary: dict[str, Any]) -> None:
    row = summary["corpora"][0]["rows"][1]
    assert (row["system"], row["seeds"]) == ("loose", [1, 2])
    fits = [read_json_or_none(path) for path in computed.cells.glob("loose_*/fit.json")]
    values = sorted(fit["metrics"]["macro_f1"] for fit in fits if fit)
    found = row["metrics"]["macro_f1"]
    assert sorted(found["values"]) == values
    assert found["mean"] == pytest.approx(sum(values) / 2)
    assert found["sd"] == pytest.approx(abs(values[1] - values[0]) / 2**0.5)
    assert all(row["costs"][name]["mean"] > 0 for name in COSTS if name != "train_seconds")


def test_the_figures_of_a_cell_are_those_of_evaluate_and_fit_its_answers(computed: ExperimentFolder, lab: Lab) -> None:
    cell = next(computed.cells.glob("linear_tiny_1_*"))
    fit = read_json_or_none(cell / "fit.json")
    assert fit is not None
    taxonomy = read_taxonomy(lab.folder / "taxonomy.tsv")
    test = read_corpus(lab.folder / "test.jsonl", taxonomy)
    again = load(cell / "model").evaluate(test)
    timeless = {"seconds", "documents_per_second", "data"}
    assert {name: value for name, value in fit["metrics"].items() if name not in timeless} == {
        name: value for name, value in again.items() if name not in timeless
    }
    answers = CellPredictions.load(cell / "answers.safetensors")
    assert answers.labels == taxonomy.ids
    metrics = evaluate(answers.gold, answers.predicted, answers.ranked, ks=(1, 3, 5))
    assert {name: again[name] for name in metrics if name in again} == pytest.approx(metrics)
    assert fit["parameters"] > 0
    assert fit["training_documents"] == 60


def test_differences_are_paired_and_adjusted(summary: dict[str, Any]) -> None:
    rows = summary["corpora"][0]["rows"]
    assert rows[0]["against_baseline"] is None
    found = rows[1]["against_baseline"]
    assert set(found) == {"micro_f1", "macro_f1"}  # p@1 cannot be resampled
    for name, one in found.items():
        means = [row["metrics"][name]["mean"] for row in rows]
        assert one["difference"] == pytest.approx(means[1] - means[0])
        assert one["low"] <= one["difference"] <= one["high"]
        assert one["p_value"] <= one["p_adjusted"] <= 1
        assert one["significant"] == (one["p_adjusted"] < 0.05)


def test_comparisons_are_kept_and_made_anew_when_the_draws_change(lab: Lab, output: Any) -> None:
    folder = lab.compute(output, ["fit"], speed=False)
    first = summarise(folder)
    kept = read_json_or_none(output / "significance.json")
    assert kept is not None
    assert len(kept) == 1
    (key,) = kept
    kept[key]["micro_f1"]["difference"] = 0.125
    write_json(output / "significance.json", kept)
    assert summarise(folder)["corpora"][0]["rows"][1]["against_baseline"]["micro_f1"]["difference"] == 0.125
    lab.compute(output, [], speed=False, significance={"samples": 101})
    again = summarise(folder)["corpora"][0]["rows"][1]["against_baseline"]["micro_f1"]
    assert again["difference"] == first["corpora"][0]["rows"][1]["against_baseline"]["micro_f1"]["difference"]


def test_cells_that_were_computed_again_are_compared_again(lab: Lab, output: Any) -> None:
    folder = lab.compute(output, ["fit"], speed=False)
    before = summarise(folder)["corpora"][0]["rows"][1]["against_baseline"]["micro_f1"]
    assert before["difference"]
    for path in folder.cells.glob("loose_*"):  # with other code, say, they predict what the baseline does
        seed = path.name.split("_")[2]
        (same,) = folder.cells.glob(f"linear_tiny_{seed}_*")
        (path / "answers.safetensors").write_bytes((same / "answers.safetensors").read_bytes())
    assert summarise(folder)["corpora"][0]["rows"][1]["against_baseline"]["micro_f1"]["difference"] == 0


def test_systems_that_saw_other_gold_labels_are_not_compared(lab: Lab, output: Any) -> None:
    folder = lab.compute(output, ["fit"], speed=False)
    path = next(folder.cells.glob("loose_*")) / "answers.safetensors"
    answers = CellPredictions.load(path)
    gold = csr_array(~answers.gold.toarray())
    CellPredictions(answers.labels, gold, answers.predicted, answers.ranked).save(path)
    with pytest.raises(DataError, match="not evaluated on the same gold labels"):
        summarise(folder)


@pytest.fixture
def published(lab: Lab, computed: ExperimentFolder, output: Any) -> dict[str, Any]:
    systems = lab.values()["systems"]
    systems = {**systems, "linear": {**systems["linear"], "published": [PUBLISHED]}}
    folder = ExperimentFolder(output)
    other = {**PUBLISHED, "system": "Their <b>network</b>"}
    lab.compute(output, [], systems=systems, published=[other])
    (output / "cells").rmdir() if not any((output / "cells").iterdir()) else None
    for path in computed.cells.iterdir():
        for name in ("fit.json", "speed.json", "answers.safetensors"):
            target = output / "cells" / path.name / name
            target.write_bytes((path / name).read_bytes())
    return summarise(folder)


def test_published_figures_stand_beside_ours_with_source_and_split(published: dict[str, Any]) -> None:
    ours, theirs = published["corpora"][0]["published"]
    assert (ours["system"], theirs["system"]) == ("linear", "Their <b>network</b>")
    assert ours["ours"]["micro_f1"] == published["corpora"][0]["rows"][0]["metrics"]["micro_f1"]
    assert theirs["ours"] is None
    text = markdown(published)
    lines = text[text.index("Published metrics") :].splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("| linear | 50.00 |"))
    assert "A paper \\| Table 2" in lines[at]
    assert "theirs <other>" in lines[at]
    assert lines[at + 1].startswith(f"| linear, here | {100 * ours['ours']['micro_f1']['mean']:.2f}")


def test_markdown_has_every_row_and_says_how_it_was_measured(summary: dict[str, Any]) -> None:
    text = markdown(summary)
    row = summary["corpora"][0]["rows"][0]
    mean, sd = row["metrics"]["micro_f1"]["mean"], row["metrics"]["micro_f1"]["sd"]
    assert f"| linear | 2 | {100 * mean:.2f} ± {100 * sd:.2f} |" in text
    assert "30 test documents, 7 labels; fitted on 60 documents." in text
    for words in (
        "after a warm-up",
        "one process at a time",
        "Machine: ",
        "Versions: ",
        "Nothing was selected on test",
    ):
        assert words in text
    widths = [line.count(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert widths[0] == widths[1] == widths[2]


def test_the_notes_name_the_systems_whose_thresholds_were_not_tuned(summary: dict[str, Any]) -> None:
    assert any("for every system alike, on validation" in note for note in notes_of(summary))
    some = {**summary, "tune": {**summary["tune"], "untuned": ["sgm", "beam"]}}
    assert any("for every system but sgm, beam, on validation" in note for note in notes_of(some))


def test_csv_has_a_line_for_each_system_with_fractions(published: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table(published))))
    assert [row["kind"] for row in rows] == ["measured", "measured", "published", "published"]
    assert float(rows[0]["micro_f1_mean"]) == published["corpora"][0]["rows"][0]["metrics"]["micro_f1"]["mean"]
    assert rows[2]["micro_f1_mean"] == "0.5"
    assert rows[2]["source"] == "A paper | Table 2"
    assert rows[1]["micro_f1_p_adjusted"]
    assert {f"{name}_mean" for name in COSTS} <= set(rows[0])


class Links(HTMLParser):
    """Whatever would be loaded or run, and whether tags fit."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [str(value) for name, value in attrs if name == "id"]
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "onclick"} and not str(value).startswith("#"):
                self.loaded.append(f"{tag} {name}")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_nothing_runs_nothing_and_escapes_names(published: dict[str, Any]) -> None:
    text = page(published)
    found = Links()
    found.feed(text)
    assert found.open == []
    assert found.loaded == []
    assert len(found.ids) == len(set(found.ids)) > 0
    assert "script" not in found.tags
    assert "b" not in found.tags
    assert "Their &lt;b&gt;network&lt;/b&gt;" in text
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert text.count("<svg") == 3 + 2  # a chart for each metric, and two of cost


def test_figures_of_two_levels_or_more_are_one_chart_and_a_file_of_its_own(
    computed: ExperimentFolder, output: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = summarise(computed)
    (corpus,) = whole["corpora"]
    levels = ["level_1_macro_f1", "level_2_macro_f1"]
    for row in corpus["rows"]:
        row["metrics"] |= {name: {"mean": 0.5, "sd": None, "values": [0.5]} for name in levels}
    metrics = {"level_2_macro_f1": 0.25}
    corpus["published"] = [{"system": "theirs", "source": "p. 2", "split": "", "metrics": metrics, "ours": {}}]
    monkeypatch.setattr(output_module, "summarise", lambda _: whole)
    whole["metrics"] = [levels[1], "micro_f1", levels[0]]
    (chart,) = level_charts(corpus, whole).values()
    drawn = chart.svg()
    assert drawn.index("level 1") < drawn.index("level 2")
    rows = len(corpus["rows"])
    assert drawn.count("<use") == (2 * rows + 1) + (rows + 1), "a mark for each value, and one for each name"
    assert "theirs (p. 2): 25.00 %" in drawn
    text = page(whole)
    assert drawn in text
    assert text.count("<svg") == 1 + 1 + 2, "micro-F1, the levels, and two of cost"
    folder = ExperimentFolder(Path(shutil.copytree(computed.path, output)))
    write_tables(folder)
    file = folder.path / "levels_tiny_macro_f1.svg"
    assert ElementTree.parse(file).find("{http://www.w3.org/2000/svg}style") is not None
    whole["metrics"] = ["micro_f1", levels[0]]
    assert level_charts(corpus, whole) == {}, "a single level is a metric like others"


def test_all_four_files_are_written_and_the_json_is_the_summary(computed: ExperimentFolder) -> None:
    summary = write_tables(computed)
    assert all((computed.path / name).is_file() for name in FORMS)
    assert json.loads((computed.path / "table.json").read_text(encoding="utf-8")) == json.loads(json.dumps(summary))


def test_what_is_not_finished_is_said(lab: Lab, output: Any) -> None:
    folder = lab.compute(output, ["fit"])
    summary = summarise(folder)
    assert {one["state"] for one in summary["incomplete"]} == {"trained"}
    assert summary["corpora"][0]["rows"][0]["costs"]["batch_1_p50_ms"] is None
    assert "Not in the table, or not in full: linear, tiny, seed 1 is trained" in markdown(summary)
    empty = lab.compute(output.with_name("empty"), [])
    text = markdown(summarise(empty))
    assert "Nothing is finished yet." in text
    assert "| linear | 0 | – | – | – |" in text
    page(summarise(empty))


def test_answers_are_the_same_after_reading_and_damage_is_a_sentence(tmp_path: Any) -> None:
    gold = csr_array(np.array([[1, 0, 1], [0, 0, 0]], dtype=bool))
    predicted = csr_array(np.array([[0, 1, 1], [1, 0, 0]], dtype=bool))
    ranked = np.array([[2, 1], [0, -1]], dtype=np.int32)
    answers = CellPredictions(("a", "ü", "c"), gold, predicted, ranked)
    answers.save(tmp_path / "a.safetensors")
    again = CellPredictions.load(tmp_path / "a.safetensors")
    assert again.labels == answers.labels
    assert (again.gold.toarray() == gold.toarray()).all()
    assert (again.predicted.toarray() == predicted.toarray()).all()
    assert (again.ranked == ranked).all()
    (tmp_path / "a.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(DataError, match=r"a\.safetensors: cannot be read"):
        CellPredictions.load(tmp_path / "a.safetensors")
