"""Recipe ``hierarchy``: a graph of small fits, labels below their parents, run by one process or several."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from taxotext.binary.damage import explaining_damage
from taxotext.binary.networks import changes_encoder, log_odds, reads_states, single_network
from taxotext.binary.overview import write_at_work, write_overview
from taxotext.binary.plan import CONSTANT, FALLBACK, FIRST_TABLE, SEARCHED, Files, FitPlan, is_fit, owner
from taxotext.binary.settings import BinarySettings
from taxotext.binary.shared import (
    Documents,
    load_array,
    read_facts,
    read_shared,
    save_array,
    save_base,
    write_facts,
    write_shared,
)
from taxotext.binary.systems import BinarySystem
from taxotext.composition.class_weights import CLASS_WEIGHTS, class_weights
from taxotext.cost.memory import check_memory
from taxotext.data import Corpus
from taxotext.decoding.heldout import HeldOut
from taxotext.errors import ConfigError, DataError
from taxotext.files import write_text_atomically
from taxotext.messages import counted, some
from taxotext.progress import Reporter, Task
from taxotext.training.result import FitResult
from taxotext.training.run import RunFolder
from taxotext.training.states import PROGRESS, write_states
from taxotext.work import Ledger, Result, run_graph

STATES = ("done/*.json", "fits/*.safetensors", f"shared/*{PROGRESS}")
"""Files in ``checkpoints`` without which there is nothing to continue from."""
SHARES_OUT = "executor"
"""What its work can be shared out by."""
ADVICE = "lower runtime.threads (processes at a time) or training.batch_size"
"""What to do when a fit has no memory left."""


def fit(
    system: BinarySystem, train: Corpus, validation: Corpus | None, run: RunFolder, reporter: Reporter
) -> FitResult:
    """Fit one binary classifier for each label, each from the state of its parent's where the settings say so.

    Labels without training documents get a classifier that always answers with the log-odds of the label. Labels with
    fewer than two training documents, or none to select on, are trained with the class weight and for as many epochs as
    their parent's chosen fit (without a parent: the first class weight, all epochs).

    Raises:
        DataError: without training or validation documents.
        TrainingError: a fit failed, or three processes have died over it.
    """
    if validation is None or len(validation) == 0 or len(train) == 0:
        raise DataError(f"{system.name} needs training and validation documents; one of the two is empty.")
    clock = _Clock(run.checkpoints)
    settings, taxonomy = system.settings, system.taxonomy
    torch.manual_seed(settings.seed)
    reporter.note(system.first_step)
    system.build(train)
    if settings.runtime.check_memory:
        check_memory(system.memory(train, validation))
    for note in system.notes:
        reporter.note(note)
    files = Files(run.checkpoints)
    windows = system.windows(train.texts)
    _share(system, files, Documents.of(windows, train.known_targets, train.weights), validation, reporter)
    files.states.mkdir(exist_ok=True)
    plan = FitPlan.of(settings, train, validation, files)
    _note_search(plan, reporter)
    _note_fallbacks(plan, reporter)
    ledger = Ledger(files.ledger, plan.wrong)
    before = ledger.read(plan.graph.order)
    done = sum(plan.epochs[key] for key in before if is_fit(key))
    with (
        run.workers.start(plan.processes, run.logs, advice=ADVICE, here=True) as executor,
        reporter.task("Fitting", sum(plan.epochs.values()), done=done, unit="epochs") as task,
    ):
        processes = executor.processes
        write_overview(run.checkpoints, taxonomy.ids, plan.epochs, processes)
        read_shared.cache_clear()  # this process may have trained in the same folder before
        results = run_graph(plan.graph, executor, ledger, _Watcher(plan, run, task, before, clock))
    read_shared.cache_clear()
    _assemble(system, plan, results)
    with reporter.task("Scoring the validation documents", len(validation)) as task:
        blocks = system.scores(validation.texts, progress=task.advance)
        held_out = HeldOut.from_blocks(blocks, validation.known_targets, validation.source, texts=validation.texts)
    fits = system.fits
    notes = {
        "cut_training_texts": int(windows.cut.sum()),
        "fits": sum(one["fits"] for one in fits),
        "fitted_epochs": sum(one["epochs"] for one in fits),
        "fit_seconds": round(sum(one["seconds"] for one in fits), 1),
        "processes": processes,
    }
    (run.folder / CLASS_WEIGHTS).unlink(missing_ok=True)  # the model folder has them
    searched = [one["f1"] for one in fits if one["how"] == SEARCHED]
    mean = f" (mean {np.mean(searched):.4f} over {counted(len(searched), 'label')})" if searched else ""
    chosen = f"each label's class weight by validation F1{mean}"
    return FitResult(held_out, clock.seconds(), [], chosen, notes)


def _groups(system: BinarySystem) -> list[int]:
    """A number for each label; those with the same number may inherit from each other and have one split."""
    labels = len(system.taxonomy)
    if not system.settings.transfer.enabled:
        return list(range(labels))
    ends = system.taxonomy.edge_index
    edges = csr_array((np.ones(ends.shape[1], bool), (ends[0], ends[1])), shape=(labels, labels))
    groups: list[int] = connected_components(edges, directed=False)[1].tolist()
    return groups


def _share(system: BinarySystem, files: Files, train: Documents, validation: Corpus, reporter: Reporter) -> None:
    """Write what all fits read; of a training that goes on only what may have changed: device and the like."""
    facts = {
        "system": system.name,
        "settings": system.settings.model_dump(mode="json", include=set(BinarySettings.model_fields)),
        "record": system.built.record,
        "labels": list(system.taxonomy.ids),
        "groups": _groups(system),
    }
    if (files.shared / "facts.json").is_file():
        _check_same(system, files)
        write_facts(files.shared, facts)
        return
    files.shared.mkdir(parents=True, exist_ok=True)
    system.tokenizer.save(files.shared / "tokenizer.json")
    encoder: Any = system.built.module
    held = Documents.of(system.windows(validation.texts), validation.known_targets)
    if reads_states(system.settings):
        write_states(system, {"train": train.windows, "validation": held.windows}, files.shared, reporter)
    elif changes_encoder(system.settings):
        save_base(encoder, files.shared)
    else:
        save_array(files.table(FIRST_TABLE), encoder.embedding.weight.detach().numpy())
    write_shared(files.shared, facts, train, held)


def _check_same(system: BinarySystem, files: Files) -> None:
    """Refuse to go on with another encoder or vocabulary than the fits before."""
    before = read_facts(files.shared)["record"]
    if before != json.loads(json.dumps(system.built.record)):
        raise ConfigError(
            "encoder: what it is made from (encoder.source, encoder.embeddings) has changed since the training began; "
            "bring it back, or start over with --overwrite."
        )


def _note_search(plan: FitPlan, reporter: Reporter) -> None:
    """Say where a search by halving is none."""
    weights, epochs = plan.settings.weights, plan.settings.training.epochs
    if weights.search == "halving" and len(weights.candidates) > 1 and len(plan.rungs) == 1:
        rungs = ", ".join(map(str, weights.rungs))
        reporter.note(
            f"Every class weight is trained to its end, as with weights.search=grid: of weights.rungs ({rungs}) none "
            f"is below training.epochs ({epochs})."
        )


def _note_fallbacks(plan: FitPlan, reporter: Reporter) -> None:
    ids = plan.taxonomy.ids
    named = {how: [ids[label] for label in range(len(ids)) if plan.how(label) == how] for how in (CONSTANT, FALLBACK)}
    if named[CONSTANT]:
        reporter.note(
            f"{counted(len(named[CONSTANT]), 'label')} with no training document, or with all: always predicted "
            f"with how often they came ({_some(named[CONSTANT])})."
        )
    below: dict[bool, list[str]] = {True: [], False: []}
    for name in named[FALLBACK]:
        below[any(plan.how(parent) != CONSTANT for parent in plan.parents[plan.taxonomy.index(name)])].append(name)
    first = f"{plan.settings.weights.candidates[0]:g}, and all epochs"
    for labels, weight in ((below[True], "that of the parent"), (below[False], first)):
        if labels:
            few = f"{counted(len(labels), 'label')} with too few documents to choose a class weight on"
            reporter.note(f"{few}: {weight} ({_some(labels)}).")


def _some(names: list[str]) -> str:
    return some(names[:5], len(names))


class _Clock:
    """Seconds of a training, with those before it was interrupted: up to the last fit that ended then."""

    def __init__(self, checkpoints: Path) -> None:
        self._file, self._began, self._before = checkpoints / "clock.json", time.monotonic(), 0.0
        with suppress(OSError, ValueError, TypeError):  # whatever is wrong with it, only a time is lost
            self._before = float(json.loads(self._file.read_text(encoding="utf-8")))

    def seconds(self) -> float:
        """So far."""
        return self._before + time.monotonic() - self._began

    def note(self) -> None:
        """Write it down for a training that goes on after this one."""
        with suppress(OSError):
            write_text_atomically(self._file, json.dumps(round(self.seconds(), 3)))


class _Watcher:
    """Moves the bar, notes what is running and chosen, and removes what is no longer needed."""

    def __init__(self, plan: FitPlan, run: RunFolder, task: Task, before: Collection[str], clock: _Clock) -> None:
        self._plan, self._run, self._task, self._before, self._clock = plan, run, task, before, clock
        self._at_work: set[str] = set()
        self._weights: dict[str, float] = {}
        self._note()

    def started(self, key: str) -> None:
        """A fit is at work."""
        self._at_work.add(key)
        self._note()

    def finished(self, key: str, result: Result) -> None:
        """A node is done."""
        if not is_fit(key):
            self._plan.prune(owner(key))
            self._weights[self._plan.taxonomy.ids[owner(key)]] = result["weight"]
            if key not in self._before:  # those of before are in the file
                with suppress(OSError):
                    content = json.dumps(class_weights(self._weights), ensure_ascii=False)
                    write_text_atomically(self._run.folder / CLASS_WEIGHTS, content)
            return
        self._at_work.discard(key)  # the ledger says already that it is done
        if key not in self._before:
            self._clock.note()
            self._task.advance(self._plan.epochs[key])
            self._task.show(label=self._plan.taxonomy.ids[owner(key)], f1=result["f1"])

    def looked(self) -> None:
        """Fits tell of their progress when they are done."""

    def _note(self) -> None:
        with suppress(OSError):  # no training ends because its progress cannot be shown
            write_at_work(self._run.checkpoints, self._at_work)


def _assemble(system: BinarySystem, plan: FitPlan, results: dict[str, Result]) -> None:
    """Make one model of the chosen classifiers."""
    from safetensors.torch import load_file

    labels = range(len(plan.taxonomy))
    fits = [dict(results[str(label)]) for label in labels]
    used = {fit["table"] for fit in fits if fit["how"] != CONSTANT} or {FIRST_TABLE}
    numbers = sorted(used) if plan.has_tables else []
    tables = [torch.from_numpy(np.array(load_array(plan.files.table(number)))) for number in numbers]
    place = {number: at for at, number in enumerate(numbers)}
    table_of = torch.tensor([place.get(fit["table"], 0) for fit in fits])
    shape = single_network(system.settings, system.built.record, system.tokenizer).own_state()
    each: dict[str, Tensor] = {
        name: torch.zeros(len(fits), *value.shape, dtype=value.dtype) for name, value in shape.items()
    }
    for label in labels:
        if fits[label]["how"] == CONSTANT:  # weights of 0 leave nothing but the bias
            each["head.output.bias"][label] = log_odds(int(plan.positives[label]), plan.documents, 1.0)
            continue
        path = plan.files.chosen(label)
        with explaining_damage(path):
            for name, value in load_file(path).items():
                each[name][label] = value
    system.take(tables, table_of, each, fits)
