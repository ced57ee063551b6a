"""``taxotext evaluate``: the promised metrics, unknown labels counted, and a sentence for what cannot be done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command import SAMPLE, Command, documents
from taxotext import load
from taxotext.errors import ModelFolderError
from taxotext.store import record_evaluation

PROMISED = {
    "micro_f1",
    "macro_f1",
    "set_accuracy",
    "hamming_accuracy",
    "hierarchical_micro_f1",
    "hierarchical_macro_f1",
    "violation_rate",
    "p@1",
    "p@3",
    "p@5",
    "ndcg@5",
    "rp@5",
    "f1@5",
    "psp@5",
    "psndcg@5",
    "psndcg_pooled@5",
    "constrained_micro_f1",
    "path_micro_f1",
    "micro_average_precision",
    "macro_average_precision",
    "brier",
    "ece",
    "aurc",
    "documents",
    "labels",
    "unknown_labels",
    "closure",
    "seconds",
    "documents_per_second",
}


@pytest.fixture
def small(command: Command) -> Path:
    """A model of two labels, and ``test.jsonl`` with an unknown label."""
    Path("train.jsonl").write_text(documents(), encoding="utf-8")
    command("train", "--model=linear", "--train=train.jsonl", "--output=small").ok()
    Path("test.jsonl").write_text(
        '{"text": "apple plum", "labels": ["fruit"]}\n{"text": "wheel", "labels": ["cars", "parts"]}\n',
        encoding="utf-8",
    )
    return Path("small")


def metrics(command: Command, *arguments: object) -> dict[str, Any]:
    result = json.loads(command("evaluate", *arguments, "--json").ok().out)
    assert isinstance(result, dict)
    return result


def test_one_json_object_holds_everything_promised(command: Command, sample_model: Path) -> None:
    result = metrics(command, sample_model, SAMPLE / "test.jsonl")
    assert result.keys() >= PROMISED
    assert (result["documents"], result["labels"], result["unknown_labels"]) == (136, 46, 0)
    assert result["closure"] == "ancestors"
    assert 0.2 < result["micro_f1"] < 1


def test_figures_by_frequency_come_from_the_training_documents(command: Command, sample_model: Path) -> None:
    result = metrics(command, sample_model, SAMPLE / "test.jsonl")
    names = ("head", "middle", "tail", "unseen")
    counts = np.asarray(load(sample_model).manifest.seen)
    assert result["tail_labels"] == ((counts > 0) & (counts < 20)).sum()
    assert sum(result.get(f"{name}_labels", 0) for name in names) == 46
    assert sum(result.get(f"{name}_p@5", 0) for name in names) == pytest.approx(result["p@5"])


def test_the_constants_of_propensities_can_be_chosen(command: Command, small: Path) -> None:
    default = metrics(command, small, "test.jsonl")
    named, given = (metrics(command, small, "test.jsonl", f"--propensity={value}") for value in ("amazon", "0.6,2.6"))
    assert named["psp@1"] == given["psp@1"]
    assert named["psndcg@5"] != default["psndcg@5"]
    assert named["micro_f1"] == default["micro_f1"]
    command("evaluate", small, "test.jsonl", "--propensity=amazn").refused("Did you mean 'amazon'?")
    command("evaluate", small, "test.jsonl", "--propensity=1,0").refused("A and B must be positive")


def test_people_get_a_table(command: Command, sample_model: Path) -> None:
    out = command("evaluate", sample_model, SAMPLE / "test.jsonl", "--per-label").ok().out
    assert "micro_f1" in out
    assert "phishing" in out


def test_a_model_of_two_labels_has_all_figures(command: Command, small: Path) -> None:
    assert metrics(command, small, "train.jsonl").keys() >= PROMISED


def test_unknown_labels_count_as_misses_and_are_named(command: Command, small: Path) -> None:
    outcome = command("evaluate", small, "test.jsonl", "--json").ok()
    result = json.loads(outcome.out)
    sentence = (
        "1 label is not among the 2 known labels: 'parts' (in 1 document); nothing predicts it, so it counts as a miss"
    )
    assert outcome.err == f"test.jsonl: {sentence}\n"  # and says it once
    assert result["unknown_labels"] == 1
    assert result["micro_recall"] == pytest.approx(2 / 3)
    assert result["set_accuracy"] == 0.5


def test_unknown_labels_can_be_dropped_or_refused(command: Command, small: Path) -> None:
    dropped = metrics(command, small, "test.jsonl", "--unknown-labels=drop")
    assert (dropped["unknown_labels"], dropped["micro_f1"], dropped["set_accuracy"]) == (1, 1.0, 1.0)
    command("evaluate", small, "test.jsonl", "--unknown-labels=error").refused(
        "test.jsonl: 1 label is not in the taxonomy of 2 labels", "test.jsonl:2: 'parts' (in 1 document)"
    )
    command("evaluate", small, "test.jsonl", "--unknown-labels=cout").refused("Did you mean 'count'?")


def test_a_file_of_another_taxonomy_is_all_misses(command: Command, sample_model: Path, small: Path) -> None:
    outcome = command("evaluate", sample_model, "train.jsonl", "--json").ok()
    result = json.loads(outcome.out)
    assert "2 labels are not in the taxonomy: 'cars' (in 4 documents) and 1 more; nothing predicts them" in outcome.err
    assert (result["unknown_labels"], result["micro_f1"]) == (2, 0.0)


def test_documents_without_gold_labels_are_evaluated(command: Command, small: Path) -> None:
    Path("none.jsonl").write_text('{"text": "apple", "labels": []}\n', encoding="utf-8")
    result = metrics(command, small, "none.jsonl")
    assert result["documents"] == 1
    assert all(value == value for value in result.values() if isinstance(value, float))


def test_record_writes_the_figures_into_the_folder(command: Command, small: Path) -> None:
    command("evaluate", small, "train.jsonl", "--record").ok()
    assert load(small).manifest.metrics["evaluations"]["train.jsonl"]["documents"] == 8
    assert "train.jsonl" in (small / "README.md").read_text(encoding="utf-8")


def test_without_record_the_folder_stays_as_it_is(command: Command, small: Path) -> None:
    before = {path: path.read_bytes() for path in small.iterdir()}
    metrics(command, small, "train.jsonl")
    assert {path: path.read_bytes() for path in small.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "missing argument 'model'"),
        (["small"], "missing argument 'data'"),
        (["nope", "test.jsonl"], "nope: there is no such model folder"),
        (["small", "nope.jsonl"], "nope.jsonl: no such file"),
        (["small", "tset.jsonl"], "Did you mean 'test.jsonl'?"),
        (["small", "small"], "small: this is a folder; name a file in it"),
        (["small", "-"], "-: the file name has no suffix"),
        (["small", "test.jsonl", "--jsn"], "there is no option '--jsn'. Did you mean '--json'?"),
        (["small", "test.jsonl", "--threads=x"], "invalid value for '--threads'"),
        (["small", "test.jsonl", "--device=tpu"], "runtime.device: 'tpu' is not a device"),
        (["small", "test.jsonl", "--on-bad-line=x"], "--on-bad-line is 'x'; choose 'error' or 'skip'"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(
    arguments: list[str], sentence: str, command: Command, small: Path
) -> None:
    command("evaluate", *arguments).refused(sentence)


def test_recorded_figures_are_added_to_what_others_have_written(command: Command, small: Path) -> None:
    command("evaluate", small, "test.jsonl", "--record").ok()
    Path("other").mkdir()
    Path("other/test.jsonl").write_text('{"text": "plum", "labels": ["fruit"]}\n', encoding="utf-8")
    command("evaluate", small, "other/test.jsonl", "--record").ok()
    command("evaluate", small, "test.jsonl", "--record").ok()
    recorded = json.loads((small / "metrics.json").read_text())["evaluations"]
    assert sorted(metrics["documents"] for metrics in recorded.values()) == [1, 2]
    assert any(name.startswith("test.jsonl (") for name in recorded)


def test_figures_of_old_thresholds_are_not_recorded(command: Command, small: Path) -> None:
    model = load(small)
    metrics = {"data_fingerprint": "f", "micro_f1": 0.5}
    command("tune", small, "--shrink=0").ok()
    before = (small / "decoding.json").read_text()
    with pytest.raises(ModelFolderError, match="was tuned while it was evaluated"):
        record_evaluation(small, model.system, model.manifest, "test.jsonl", metrics)
    assert (small / "decoding.json").read_text() == before


def test_tuning_removes_figures_of_old_thresholds(command: Command, small: Path) -> None:
    command("evaluate", small, "test.jsonl", "--record").ok()
    assert "recorded with the old thresholds are removed" in command("tune", small).ok().err
    assert "evaluations" not in json.loads((small / "metrics.json").read_text())


def test_eight_metrics_are_shown_and_all_when_asked(command: Command, small: Path) -> None:
    lines = command("evaluate", small, "test.jsonl").ok().out.splitlines()
    names = [line.split()[0] for line in lines[1:]]
    assert names[: names.index("documents")] == [
        "micro_f1", "macro_f1", "samples_f1", "set_accuracy", "p@1", "p@5", "ndcg@5", "micro_average_precision",
    ]  # fmt: skip
    everything = command("evaluate", small, "test.jsonl", "--all").ok().out.splitlines()
    found = json.loads(command("evaluate", small, "test.jsonl", "--json").ok().out)
    assert {line.split()[0] for line in everything[1:]} == set(found) - {
        "data", "seconds", "seen_in_training", "seen_in_tuning",
    }  # fmt: skip
    assert {"hierarchical_samples_f1", "macro_f1_of_means", "micro_precision", "rp@5"} <= set(found)


def test_documents_of_the_training_and_of_tuning_are_noticed(command: Command, small: Path) -> None:
    outcome = command("evaluate", small, "train.jsonl", "--json").ok()
    result = json.loads(outcome.out)
    assert (result["seen_in_training"], result["seen_in_tuning"]) == (result["documents"], 0)
    assert f"{result['documents']} of {result['documents']} documents the model was trained on" in outcome.err
    assert "Scores on them are optimistic" in outcome.err

    Path("more.jsonl").write_text('{"text": "plum and engine", "labels": ["fruit", "cars"]}\n', encoding="utf-8")
    assert "Not new to the model" not in command("evaluate", small, "more.jsonl").ok().err
    command("tune", small, "--data=more.jsonl", "--shrink=1").ok()
    assert "1 of 1 document the model was validated or tuned on" in command("evaluate", small, "more.jsonl").ok().err
    command("tune", small).ok()  # on the documents of the training again
    assert "Not new to the model" not in command("evaluate", small, "more.jsonl").ok().err
