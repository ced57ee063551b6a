"""``taxotext experiment``: plan, run, status, show, and a sentence for what cannot be done."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import Command
from lab import Lab
from taxotext.cli.experiment import duration
from taxotext.cli.experiment_view import cell_rows, clock, headline, make_view
from taxotext.experiments.status import CellStatus, Status

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "experiment.yaml"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def file(lab: Lab, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    systems = {"linear": lab.values()["systems"]["linear"]}
    path.write_text(yaml.safe_dump(lab.values(systems=systems, seeds=[1])), encoding="utf-8")
    return path


def test_a_run_writes_the_table_and_show_and_status_speak_of_it(command: Command, file: Path, tmp_path: Path) -> None:
    outcome = command("experiment", "run", file, "--output", "out").ok()
    assert outcome.out == ""
    assert "linear, tiny, seed 1: trained: micro_f1 " in outcome.err
    assert "Wrote table.md, table.csv, table.json, table.html in out." in outcome.err
    assert (tmp_path / "out" / "experiment.yaml").read_text("utf-8") == file.read_text("utf-8")
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    status = json.loads(command("experiment", "status", "out", "--json").ok().out)
    assert (status["counts"]["finished"], status["running"], status["seconds_left"]) == (1, False, 0.0)
    assert "Tiny: 1 finished" in command("experiment", "status", "out").ok().out
    shown = command("experiment", "show", "out").ok().out
    summary = json.loads(command("experiment", "show", "out", "--json").ok().out)
    mean = summary["corpora"][0]["rows"][0]["metrics"]["micro_f1"]["mean"]
    for text in (table, shown):
        assert f"{100 * mean:.2f}" in text
    command("experiment", "run", file, "--output", "out").refused("holds an experiment already", "--resume")
    again = command("experiment", "run", file, "--output", "out", "--resume").ok()
    assert "1 cell of 1 finished before and stay as they are." in again.err


def test_a_failed_cell_ends_with_code_1_and_its_reason(command: Command, lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("no JSON\n", encoding="utf-8")
    corpora = {"bad": {"train": str(tmp_path / "bad.jsonl"), "test": "test.jsonl"}}
    values = lab.values(corpora=corpora, systems={"linear": {"model": "linear"}}, seeds=[1], speed=False)
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    outcome = command("experiment", "run", "bad.yaml", "--output", "out")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "Failed: linear, bad, seed 1: " in outcome.err
    assert "bad.jsonl" in outcome.err
    assert "1 cell of 1 failed; --resume tries them again." in outcome.err
    assert "is failed (" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "bad.jsonl" in command("experiment", "status", "out").ok().out


def test_a_plan_estimates_and_writes_nothing(command: Command, file: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    plan = json.loads(command("experiment", "plan", file, "--jobs", "2", "--threads", "1", "--json").ok().out)
    assert sorted(tmp_path.rglob("*")) == before
    (one,) = plan["estimates"]
    assert (one["system"], one["cells"], one["documents"], one["reason"]) == ("linear", 1, 60, "")
    assert 0 < one["seconds"] < 600
    assert 20e6 < one["memory"] < 4e9
    assert (plan["cells"], plan["finished"], plan["jobs"]) == (1, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["run", "nope.yaml", "--output", "out"], ["nope.yaml: no such configuration file"]),
        (["run", "tiny.yaml"], ["--output"]),
        (["run", "tiny.yaml", "--output", "out", "--data", "nowhere"], ["3 files cannot be read", "corpora.tiny.test"]),
        (["run", "tiny.yaml", "--output", "out", "--jobs", "0"], ["jobs"]),
        (["plan", "tiny.yaml", "--data", "nowhere"], ["3 files cannot be read"]),
        (["status", "nope"], ["there is no such folder"]),
        (["show", "."], ["is not an experiment"]),
        (["shwo", "."], ["there is no command 'shwo'. Did you mean 'show'?"]),
    ],
)
def test_mistakes_are_sentences(command: Command, file: Path, arguments: list[str], fragments: list[str]) -> None:
    command("experiment", *arguments).refused(*fragments)


def test_the_experiments_of_the_repository_are_sound() -> None:
    from taxotext.experiments.settings import parse_experiment
    from taxotext.settings import read_yaml

    folder = EXAMPLE.parents[1]
    for path in [EXAMPLE, *sorted((folder / "experiments").glob("*.yaml"))]:
        settings = parse_experiment(read_yaml(path), path.name)
        assert settings.description
        assert all(corpus.split for corpus in settings.corpora.values())
    assert len(parse_experiment(read_yaml(EXAMPLE), "e").triples()) == 12


# -- what people see -------------------------------------------------------------------------------------------------


def cell(state: str, **changes: Any) -> CellStatus:
    values: dict[str, Any] = {
        "system": "bert",
        "corpus": "news",
        "seed": 13,
        "state": state,
        "task": "",
        "share": None,
        "fields": {},
        "seconds": 0.0,
        "peak_memory": 0,
        "seconds_left": None,
        "attempts": 0,
        "reason": "",
        "folder": "f",
    }
    return CellStatus(**{**values, **changes})


def status_of(*cells: CellStatus, running: bool = True, left: float | None = None) -> Status:
    counts: dict[str, int] = {}
    for one in cells:
        counts[one.state] = counts.get(one.state, 0) + 1
    return Status("Name", running, counts, list(cells), left, 0.5)


def test_a_line_says_what_a_cell_is_at() -> None:
    running = cell(
        "training",
        task="Training",
        share=0.25,
        fields={"epoch": "2/8", "loss": 0.5},
        seconds=65.0,
        peak_memory=1_200_000_000,
        seconds_left=3600.0,
    )
    (row,) = cell_rows(status_of(running))
    assert row == ("bert", "news", 13, "training", "Training 25 %, epoch 2/8, loss 0.5000", "1:05", "1:00:00", "1,200")
    assert headline(status_of(running, left=90.0)) == "Name: 1 training; about 1:30 of training left"
    assert headline(status_of(cell("waiting"), running=False)) == "Name: 1 waiting; not running; --resume goes on"
    assert headline(status_of(cell("finished"), running=False)) == "Name: 1 finished"


def test_a_terminal_shows_as_many_cells_as_fit_those_at_work_first(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from rich.console import Console

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    view: Any = make_view()
    cells = [cell("finished", seed=number) for number in range(40)] + [cell("training", seed=99, task="Fitting")]
    console = Console(width=120, height=20, file=io.StringIO())
    view._console = console
    console.print(view._drawn(status_of(*cells)))
    text = console.file.getvalue()
    assert "99" in text
    assert "Fitting" in text
    assert text.count("finished") == 13 + 1  # rows, and the line below
    assert "(27 cells not shown)" in text


def test_times_are_written_for_people() -> None:
    assert [duration(seconds) for seconds in (3, 89, 600, 7200)] == ["3 s", "89 s", "10 min", "2.0 h"]
    assert [clock(seconds) for seconds in (5, 125, 3600)] == ["0:05", "2:05", "1:00:00"]
