"""The recipe along the taxonomy: killed, interrupted, on a full disk, with dying workers: always the same end."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import strange
from hierarchies import arguments, done, environment, timeless, tiny_run, wait_for, workers_of
from interrupted import Cut, cut_at, full_disk
from taxotext import load
from taxotext.api.runs import train_run
from taxotext.errors import ModelFolderError, TrainingError
from taxotext.files import folders
from taxotext.progress import Silent
from taxotext.work import Outcome, local

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
TESTS = Path(strange.__file__).parent
FITS, LABELS = 12, 4


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Keys that this process computes, in their order; none of them may be done already."""
    keys: list[str] = []
    original = local.compute

    def compute(key: str, request: Any) -> Outcome:
        assert key not in done(tmp_path / "model")
        outcome = original(key, request)
        keys.append(key)
        return outcome

    monkeypatch.setattr(local, "compute", compute)
    return keys


def resume(data: dict[str, str], output: Path, threads: int = 1) -> None:
    train_run(tiny_run(data, threads), output, resume=True, reporter=Silent())


# -- kills ---------------------------------------------------------------------------------------------------------


def test_a_death_at_any_write_is_made_good_by_resume(
    data: dict[str, str],
    undisturbed: dict[str, Any],
    computed: list[str],
    tmp_path: Path,
) -> None:
    """Many deaths in a row, each right before or right after a file takes its place."""
    rng, deaths, output = random.Random(7), 0, tmp_path / "model"
    while not output.exists():
        call, before = rng.choice((1, 2, 3, 5, 8, 12)) + (0 if deaths else 20), done(output)
        with cut_at(folders.os, "replace", call, after=rng.random() < 0.5, may_end=True) as death:
            resume(data, output)
        if death.came:
            deaths += 1
            assert before.items() <= done(output).items()
        assert deaths < 400
    assert deaths >= 15
    assert timeless(output) == undisturbed
    # Nothing that is in the ledger is computed again; at most one computation is lost by a death.
    assert len(computed) <= FITS + deaths
    assert not (tmp_path / "model.run").exists()


@linux
def test_kill_9_of_the_main_process_takes_its_workers_along_and_loses_nothing(
    data: dict[str, str], undisturbed: dict[str, Any], computed: list[str], tmp_path: Path
) -> None:
    output = tmp_path / "model"
    words = [sys.executable, "-m", "taxotext", *arguments(tiny_run(data, 2), output)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(words, env=environment(), stdout=log, stderr=log)
    try:
        assert wait_for(lambda: len(done(output)) >= 6 or process.poll() is not None), (tmp_path / "log").read_text()
        workers = workers_of(process.pid)
    finally:
        process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert len(workers) == 2
    assert wait_for(lambda: not workers_of(process.pid), 10)
    before = done(output)
    assert len(before) >= 6
    resume(data, output)
    fits = [key for key in before if "." in key]
    assert len(computed) == FITS - len(fits)
    assert timeless(output) == undisturbed


def heed_interrupts() -> None:
    """What is started in the background of a shell, these tests for one, is told to pass over Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_says_how_to_go_on(data: dict[str, str], computed: list[str], tmp_path: Path) -> None:
    """The training is longer than the others, so that it is not over before the keys are pressed."""
    output = tmp_path / "model"
    longer = {"epochs": 20, "patience": 20, "batch_size": 16, "checkpoint_minutes": 1}
    values = tiny_run(data, training=longer)
    words = [sys.executable, "-m", "taxotext", *arguments(values, output)]
    process = subprocess.Popen(
        words, env=environment(), stderr=subprocess.PIPE, start_new_session=True, preexec_fn=heed_interrupts
    )
    try:
        assert wait_for(lambda: len(done(output)) >= 3 or process.poll() is not None)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, told = process.communicate(timeout=240)
    finally:
        process.kill()
    sentences = told.decode()
    assert process.returncode == 130, sentences
    end = "Run the same command with --resume to continue the training.\ntaxotext: interrupted.\n"
    assert sentences.endswith(end), sentences
    assert "Traceback" not in sentences
    before = len([key for key in done(output) if "." in key])
    assert before
    train_run(values, output, resume=True, reporter=Silent())
    assert len(computed) == FITS - before
    computed.clear()
    train_run(values, tmp_path / "undisturbed", reporter=Silent())
    assert timeless(output) == timeless(tmp_path / "undisturbed")


def test_an_interrupted_first_fit_is_kept(
    data: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state is worth going on from although no fit is done yet."""
    from taxotext.binary.fit import _Fit

    output, fits = tmp_path / "model", tmp_path / "model.run/checkpoints/fits"
    values = tiny_run(data)
    values["weights"] = {"search": "grid", "candidates": [1.0, 5.0]}
    with cut_at(_Fit, "validate", when=lambda fit: any(fits.iterdir()), error=KeyboardInterrupt):
        train_run(values, output, reporter=Silent())
    assert done(output) == {}
    epochs: list[int] = []
    train_epoch = _Fit.train_epoch

    def counted(fit: Any, epoch: int) -> float:
        epochs.append(epoch)
        return train_epoch(fit, epoch)

    monkeypatch.setattr(_Fit, "train_epoch", counted)
    train_run(values, output, resume=True, reporter=Silent())
    assert epochs == [1, *[0, 1] * (2 * LABELS - 1)]  # epoch 0 of the first fit was saved
    records = json.loads((output / "fits.json").read_text())
    assert [record["epochs"] for record in records] == [4] * LABELS  # it counts, although another process trained it
    assert all(record["seconds"] > 0 for record in records)


# -- workers -------------------------------------------------------------------------------------------------------


@linux
def test_two_processes_end_like_one_also_when_one_of_them_is_killed(
    data: dict[str, str], undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    output, killed = tmp_path / "model", []

    def kill() -> None:
        wait_for(lambda: len(done(output)) >= 4)
        workers = workers_of(os.getpid())
        os.kill(workers[-1], signal.SIGKILL)
        killed.append(len(workers))

    killer = threading.Thread(target=kill)
    killer.start()
    train_run(tiny_run(data, 2), output, reporter=Silent())
    killer.join()
    assert killed == [2]
    assert timeless(output) == undisturbed
    assert workers_of(os.getpid()) == []


def test_workers_that_die_over_one_fit_end_with_a_sentence_and_what_is_done_is_kept(
    data: dict[str, str],
    undisturbed: dict[str, Any],
    computed: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS / "work" / "workers"), str(TESTS)]))
        patch.setenv(strange.TROUBLE, "2")
        with pytest.raises(TrainingError) as error:
            train_run(tiny_run(data, 2), output, reporter=Silent())
    told = str(error.value)
    assert re.match(
        r"3 processes have ended over the same piece of work \(2\.0\.\d\); the last one was killed by signal 9\.", told
    )
    assert told.endswith("What is done is kept: go on with --resume.")
    before = done(output)
    assert {"0", "1"} <= before.keys()  # its parents were finished
    assert not [key for key in before if key.startswith("2")]
    resume(data, output)
    assert len(computed) == FITS - len([key for key in before if "." in key])
    assert timeless(output) == undisturbed


# -- full disks ----------------------------------------------------------------------------------------------------


def _while_computing(output: Path, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    original = local.compute

    def compute(key: str, request: Any) -> Outcome:
        if key != "2.0.1":
            return original(key, request)
        with full_disk(500):
            return original(key, request)

    with monkeypatch.context() as patch:
        patch.setattr(local, "compute", compute)
        run()


def _while_choosing(output: Path, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    from taxotext.binary.plan import FitPlan

    original = FitPlan._choose

    def choose(plan: FitPlan, label: int, results: Any) -> Any:
        with full_disk(100):
            return original(plan, label, results)

    with monkeypatch.context() as patch:
        patch.setattr(FitPlan, "_choose", choose)
        run()


def _while_recording(output: Path, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    from taxotext.work import Ledger

    original = Ledger.write

    def write(ledger: Ledger, key: str, result: Any) -> None:
        if len(done(output)) < 4:
            original(ledger, key, result)
            return
        with full_disk(10):
            original(ledger, key, result)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "write", write)
        run()


@pytest.mark.parametrize(
    ("moment", "file"),
    [
        (_while_computing, r"checkpoints/fits/2\.\d\.safetensors"),
        (_while_choosing, r"checkpoints/chosen/\d\.(table\.npy|safetensors)"),
        (_while_recording, r"checkpoints/done/[\d.]+\.json"),
    ],
    ids=["computing", "choosing", "recording"],
)
def test_a_full_disk_ends_with_a_sentence_and_loses_nothing(
    moment: Callable[..., None],
    file: str,
    data: dict[str, str],
    undisturbed: dict[str, Any],
    computed: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = tmp_path / "model"

    def run() -> None:
        with pytest.raises(TrainingError, match=rf"{file}: .*disk full.* What is done is kept: go on with --resume\.$"):
            train_run(tiny_run(data), output, reporter=Silent())

    moment(output, run, monkeypatch)
    before = done(output)
    assert before
    assert not list((tmp_path / "model.run").rglob("*.tmp"))
    computed.clear()
    resume(data, output)
    assert len(computed) == FITS - len([key for key in before if "." in key])
    assert timeless(output) == undisturbed


# -- one after the other -------------------------------------------------------------------------------------------


def test_a_second_training_in_the_same_place_reads_its_own_data(
    data: dict[str, str], undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """What fits share is kept in memory, and must be of this training."""
    output = tmp_path / "model"
    other = {**tiny_run(data), "seed": 4, "text": {"max_tokens": 8}, "weights": {"candidates": [1.0]}}
    train_run(other, output, reporter=Silent())
    assert timeless(output)["weights.safetensors"] != undisturbed["weights.safetensors"]
    train_run(tiny_run(data), output, overwrite=True, reporter=Silent())
    assert timeless(output) == undisturbed


def test_resume_takes_over_what_may_change(data: dict[str, str], tmp_path: Path, computed: list[str]) -> None:
    output, facts = tmp_path / "model", tmp_path / "model.run/checkpoints/shared/facts.json"
    values, seen = tiny_run(data), []

    from taxotext.binary import recipe as hierarchy

    def look(*_: Any, **__: Any) -> None:
        seen.append(json.loads(facts.read_text())["settings"]["training"]["checkpoint_minutes"])
        (facts.parents[1] / "done").mkdir(exist_ok=True)
        (facts.parents[1] / "done/0.0.0.json").write_text("{}")

    for minutes in (0, 7):
        values["training"] = {**values["training"], "checkpoint_minutes": minutes}
        with cut_at(hierarchy.FitPlan, "of", leave=look):
            train_run(values, output, resume=True, reporter=Silent())
    assert seen == [0, 7]


def test_the_bar_of_a_resumed_training_starts_where_it_stopped(data: dict[str, str], tmp_path: Path) -> None:
    bars: list[tuple[int | None, int]] = []
    advanced: list[int] = []

    class Bar:
        def advance(self, amount: int = 1) -> None:
            advanced.append(amount)
            if len(bars) == 1 and sum(advanced) >= 10:
                raise Cut

        def show(self, **fields: float | str) -> None:
            pass

    class Bars(Silent):
        @contextmanager
        def task(self, name: str, total: int | None, done: int = 0, unit: str = "documents") -> Iterator[Any]:
            if name == "Fitting":
                bars.append((total, done))
                yield Bar()
            else:
                with Silent.task(self, name, total) as task:
                    yield task

    output = tmp_path / "model"
    with pytest.raises(Cut):
        train_run(tiny_run(data), output, reporter=Bars())
    first = sum(advanced)
    advanced.clear()
    train_run(tiny_run(data), output, resume=True, reporter=Bars())
    planned = LABELS * (2 * 1 + 1 * 1)
    assert bars == [(planned, 0), (planned, first)]
    assert sum(advanced) == planned - first


def test_seconds_of_a_training_count_those_before_it_was_interrupted(data: dict[str, str], tmp_path: Path) -> None:
    from taxotext.binary import recipe as hierarchy

    output, clock = tmp_path / "model", tmp_path / "model.run/checkpoints/clock.json"
    with cut_at(hierarchy, "_assemble"):
        train_run(tiny_run(data), output, reporter=Silent())
    assert json.loads(clock.read_text()) > 0
    clock.write_text("1000.0")
    resume(data, output)
    assert 1000 < load(output).manifest.facts["seconds"] < 1500


# -- one fit -------------------------------------------------------------------------------------------------------


def test_a_fit_starts_from_its_parent_as_the_switches_say(data: dict[str, str], tmp_path: Path) -> None:
    """Fresh output layer, frozen word vectors, a rate of its own for what was taken over; each can be switched off."""
    import torch
    from safetensors.torch import load_file, save_file

    from taxotext.binary import recipe as hierarchy
    from taxotext.binary.fit import OUTPUT, _Fit, _number
    from taxotext.binary.shared import fit_network, read_shared

    with cut_at(hierarchy, "_assemble"):
        train_run(tiny_run(data), tmp_path / "model", reporter=Silent())
    checkpoints = tmp_path / "model.run/checkpoints"
    chosen = checkpoints / "chosen/1.safetensors"
    parent = load_file(chosen)

    def begun(train_table: bool, **transfer: Any) -> Any:
        facts = checkpoints / "shared/facts.json"
        content = json.loads(facts.read_text())
        content["settings"]["transfer"].update(transfer)
        facts.write_text(json.dumps(content))
        read_shared.cache_clear()
        made = _Fit(read_shared(facts.parent), facts.parent, 3, 1.0, train_table)
        made.begin(checkpoints / "chosen/1.table.npy", chosen)
        return made

    made = begun(False, body_learning_rate=5e-4, shrink=1.0, perturb=0.0)
    now = made.network.state_dict()
    taken = [name for name in parent if name not in OUTPUT]
    assert all(torch.equal(now[name], parent[name]) for name in taken)
    assert not torch.equal(now["head.output.weight"], parent["head.output.weight"])
    assert not made.network.encoder.embedding.weight.requires_grad
    assert "encoder.embedding.weight" not in made.own
    assert [group["lr"] for group in made.optimiser.param_groups] == [3e-3, 5e-4]
    assert len(made.optimiser.param_groups[0]["params"]) == len(OUTPUT)

    made = begun(True, fresh_head=False, body_learning_rate=None)
    now = made.network.state_dict()
    assert all(torch.equal(now[name], parent[name]) for name in parent if name in now)
    assert made.network.encoder.embedding.weight.requires_grad
    assert "encoder.embedding.weight" in made.own
    assert [group["lr"] for group in made.optimiser.param_groups] == [3e-3, 3e-3]

    fresh = begun(False, fresh_head=True, perturb=0.0, shrink=1e-9).network.state_dict()  # nothing of the parent
    torch.manual_seed(_number(made.settings.seed, 3, "start"))
    drawn = dict(fit_network(made.settings, made.record, made.tokenizer, made.folder).named_parameters())
    now = begun(False, fresh_head=True, shrink=0.25, perturb=0.5).network.state_dict()
    weights = [name for name in taken if name in drawn]
    assert weights
    for name in weights:
        torch.testing.assert_close(now[name], 0.25 * parent[name] + 0.5 * drawn[name].detach())
        assert fresh[name].abs().max() < 1e-6

    save_file({name: value for name, value in parent.items() if name != weights[0]}, chosen)
    with pytest.raises(ModelFolderError, match=f"not those of this network: .*{re.escape(weights[0])}"):
        begun(False, shrink=1.0, perturb=0.0)
    save_file({**parent, "unknown": parent[weights[0]].clone()}, chosen)
    with pytest.raises(ModelFolderError, match=r"not those of this network: .*unknown"):
        begun(False)


@pytest.mark.parametrize("own_vectors", [False, True])
def test_children_start_from_the_epoch_of_least_loss_when_asked(
    data: dict[str, str], own_vectors: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    from taxotext.binary import recipe as hierarchy
    from taxotext.binary.fit import BEST, LEAST, NOW
    from taxotext.binary.plan import FitPlan

    monkeypatch.setattr(FitPlan, "prune", lambda *_: None)

    def fitted(name: str, epochs: int) -> Path:
        run = tiny_run(
            data,
            transfer={"inherit": "least_loss", "freeze_embeddings": not own_vectors},
            training={"epochs": epochs, "patience": 9, "learning_rate": 0.3, "batch_size": 16},
            weights={"candidates": [1.0]},
        )
        with cut_at(hierarchy, "_assemble"):
            train_run(run, tmp_path / name, reporter=Silent())
        return tmp_path / f"{name}.run/checkpoints"

    def under(prefix: str, stored: Any) -> dict[str, Any]:
        return {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}

    folder = fitted("whole", 5)
    differs = 0
    for label in range(LABELS):
        stored = load_file(folder / f"fits/{label}.0.safetensors")
        least, best = under(LEAST, stored), under(BEST, stored)
        handed = load_file(folder / f"chosen/{label}.least.safetensors")
        assert handed.keys() == least.keys() == best.keys()
        assert all((handed[name] == least[name]).all() for name in least)
        assert ("encoder.embedding.weight" in least) == (own_vectors or label < 2)
        differs += any((least[name] != best[name]).any() for name in least)
        if label < 2:  # without a parent: the weights after so many epochs are those of a training that ends there
            losses = [loss for _, _, loss in json.loads(_metadata(folder / f"fits/{label}.0.safetensors"))["history"]]
            ended = fitted(f"until {label}", losses.index(min(losses)) + 1)
            now = under(NOW, load_file(ended / f"fits/{label}.0.safetensors"))
            assert all((now[name] == least[name]).all() for name in least)
    assert differs, "the epoch of least loss is another one than the kept one, for some label"


def test_a_fit_goes_on_with_all_of_its_moments_on_the_device_of_the_weights() -> None:
    """A fused Adam on a GPU reads the step there, too."""
    import torch

    from taxotext.binary.fit import MEAN, SQUARE, moments_of

    stored = {"steps": torch.ones(1), f"{MEAN}w": torch.zeros(2), f"{SQUARE}w": torch.zeros(2)}
    found = moments_of(stored, "w", torch.device("meta"))
    assert {name: (value.device.type, value.ndim) for name, value in found.items()} == {
        "step": ("meta", 0),
        "exp_avg": ("meta", 1),
        "exp_avg_sq": ("meta", 1),
    }
    here = [moments_of(stored, "w", torch.device("cpu"))["step"] for _ in range(2)]
    here[0] += 1
    assert [float(step) for step in here] == [2.0, 1.0]


def test_epochs_are_kept_by_what_is_monitored() -> None:
    from taxotext.binary.fit import Progress

    progress = Progress(epochs=1, epoch=1, f1=0.5, average_precision=0.4, loss=0.3)
    assert progress.is_better("f1", 0.5, 0.0, 0.2)  # of equal F1 the smaller loss
    assert not progress.is_better("f1", 0.5, 0.9, 0.4)
    assert progress.is_better("average_precision", 0.0, 0.5, 9.0)
    assert not progress.is_better("average_precision", 1.0, 0.4, 0.3)
    assert progress.is_better("loss", 0.0, 0.0, 0.29)
    assert not progress.is_better("loss", 1.0, 1.0, 0.31)
    assert Progress().is_better("loss", 0.0, 0.0, 1e9), "the first epoch is kept"


def test_labels_that_inherit_from_each_other_have_one_split(data: dict[str, str], tmp_path: Path) -> None:
    from taxotext.binary import recipe as hierarchy
    from taxotext.binary.fit import _Fit
    from taxotext.binary.shared import read_shared

    def splits(model: str) -> list[set[int]]:
        folder = tmp_path / f"{model}.run/checkpoints/shared"
        with cut_at(hierarchy, "_assemble"):
            train_run(tiny_run(data, model=model, training={"split": "own"}), tmp_path / model, reporter=Silent())
        read_shared.cache_clear()
        shared = read_shared(folder)
        made = [_Fit(shared, folder, label, 1.0, False) for label in range(LABELS)]
        assert all(not set(fit.chosen) & set(fit.held) for fit in made)
        return [set(fit.held.tolist()) for fit in made]

    related, alone = splits("htrans"), splits("gru_att")
    facts = json.loads((tmp_path / "htrans.run/checkpoints/shared/facts.json").read_text())["groups"]
    for one in range(LABELS):
        for other in range(one):
            assert (related[one] == related[other]) == (facts[one] == facts[other])
    assert len(set(map(frozenset, alone))) > len(set(facts))


def _metadata(path: Path) -> str:
    """How far a fit is, JSON."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return str(file.metadata()["progress"])


def test_a_batch_whose_documents_all_weigh_nothing_teaches_nothing() -> None:
    import torch

    from taxotext.binary.fit import _Fit

    fit: Any = SimpleNamespace(weight=2.0)
    assert float(_Fit._mean_loss(fit, torch.zeros(3), torch.ones(3), torch.zeros(3))) == 0.0
    uneven = _Fit._mean_loss(fit, torch.zeros(2), torch.ones(2), torch.tensor([3.0, 0.0]))
    assert float(uneven) == pytest.approx(2 * 0.6931, abs=1e-3)


@linux
def test_files_of_the_current_folder_do_not_take_the_place_of_libraries(data: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('a file of the user')\n", encoding="utf-8")
    output = tmp_path / "model"
    command = [sys.executable, "-P", "-m", "taxotext", *arguments(tiny_run(data, 2), output)]
    ended = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert output.is_dir()
