"""The loop over the trials of a search, one after the other or several side by side."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from taxotext.api.proposals import propose
from taxotext.api.runs import RunConfig
from taxotext.api.search_folder import BEST, SearchFolder, Trial
from taxotext.api.search_trial import Searched, run_trial
from taxotext.composition.space import Dimension, same, start, with_values
from taxotext.errors import TaxotextError, TrainingError
from taxotext.files import write_text_atomically
from taxotext.messages import counted
from taxotext.processes import usable_cores
from taxotext.progress import Reporter, Silent, Task
from taxotext.work import Executor, Outcome, Request, Workers

ADVICE = "lower --jobs (trials side by side)"
LOOKED_BACK = 3
"""How many of the last trials say how long the next one may take."""
REPEATED = 20
"""Proposals in a row that had all been tried: nothing is left of the space."""


@dataclass(frozen=True)
class Search:
    """The loop over trials.

    Args:
        config: what the user gave.
        searched: what all trials have in common.
        space: what may be tried.
        metric: what trials are compared by.
        folder: with the trials so far.
    """

    config: RunConfig
    searched: Searched
    space: Mapping[str, Dimension]
    metric: str
    folder: SearchFolder
    reporter: Reporter

    def run_trials(self, limit: int | None, seconds: float | None, workers: Workers, jobs: int | None) -> None:
        """Run trials until ``limit`` are there or the time is up."""
        folder = self.folder
        if folder.trials:
            folder.check_trials(self.space)
            if not any(trial.state == "complete" for trial in folder.trials):  # cut off before all had failed
                folder.keep([trial for trial in folder.trials if trial.state == "running"])
            folder.forget_ended()
            done = len(folder.trials) - len(self._running())
            self.reporter.note(f"Going on with the search in {folder.folder}: {counted(done, 'trial')} done.")
        processes = jobs or 1
        alone = workers.executor == "processes" and processes == 1
        threads = self.searched.base.settings.runtime.threads or (
            1 if workers.executor == "ray" else max(1, usable_cores() // processes)
        )
        beside = {"searched": self.searched, "reporter": self.reporter}
        with workers.start(
            processes, folder.logs, threads=threads, advice=ADVICE, here=True, beside=beside
        ) as executor:
            side = min(executor.processes, jobs or executor.processes)
            spent = sum(trial.seconds for trial in folder.trials) / side
            budget = _Budget(limit, seconds, time.monotonic() - spent, side, self.reporter)
            bars = Silent() if alone else self.reporter  # a trial in this process has bars of its own
            done = len(folder.trials) - len(self._running())
            with bars.task("Searching", limit, done, "trials") as task:
                self._work(executor, budget, None if alone else threads, task)
        folder.forget_empty_logs()
        self._finish()

    def _work(self, executor: Executor, budget: _Budget, threads: int | None, task: Task) -> None:
        waiting = deque(self._running())  # they were cut off
        at_work: dict[str, Trial] = {}
        began: dict[str, float] = {}
        reason: TaxotextError | None = None
        while True:
            while reason is None and budget.allows(self.folder.trials, len(at_work)):
                trial = waiting.popleft() if waiting else self._next(list(at_work.values()))
                if trial is None:  # its settings are at work
                    break
                self.folder.put(trial)
                twin = self._twin(trial)
                if twin is not None:
                    self.folder.put(twin)
                    self._report(twin, budget.limit)
                    task.advance()
                    continue
                key = f"{trial.number:04d}"
                at_work[key], began[key] = trial, time.monotonic()
                executor.submit(key, self._request(trial, threads))
            if not at_work:
                break
            for outcome in executor.wait():
                trial = at_work.pop(outcome.key)
                task.advance()
                if outcome.report is not None:
                    self._complete(replace(trial, state="complete", **outcome.report), budget.limit)
                    reason = None
                else:
                    seconds = round(time.monotonic() - began[outcome.key], 3)
                    failed = replace(trial, state="failed", seconds=seconds, reason=outcome.failure)
                    reason = self._fail(failed, outcome, budget.limit) or reason
        if reason is not None:
            self.folder.keep([])
            raise reason

    def _running(self) -> list[Trial]:
        return [trial for trial in self.folder.trials if trial.state == "running"]

    def _next(self, at_work: Sequence[Trial]) -> Trial | None:
        """The trial to start next; None where its settings are at work."""
        trials = self.folder.trials
        number = trials[-1].number + 1 if trials else 1
        first = start(self.space, self.searched.base.settings) if not trials else None
        finished = [(trial.settings, trial.value) for trial in trials if trial.value is not None]
        settings = first or propose(
            self.space,
            finished,
            at_work=[trial.settings for trial in at_work],
            seed=self.searched.base.settings.seed,
            number=number,
        )
        trial = Trial(number, "running", settings)
        return None if any(_equal(other, trial) for other in at_work) else trial

    def _twin(self, trial: Trial) -> Trial | None:
        """The trial with the metric of an earlier one that had the same settings; None where there is none."""
        ended = (old for old in self.folder.trials if old.state != "running")
        twin = next((old for old in ended if _equal(old, trial)), None)
        if twin is None:
            return None
        same_as = twin.number if twin.same_as is None else twin.same_as
        return replace(twin, number=trial.number, seconds=0.0, same_as=same_as)

    def _request(self, trial: Trial, threads: int | None) -> Request:
        base = self.searched.base
        best = best_of(self.folder.trials)
        return Request(
            "trial",
            {
                "model": base.kind.name,
                "given": self.searched.given,
                "data": self.config.data.model_dump(mode="json"),
                "fingerprints": self.searched.fingerprints,
                "metric": self.metric,
                "number": trial.number,
                "settings": trial.settings,
                "threads": threads,
                "best": None if best is None else [best.value, best.number],
                "folder": str(self.folder.run_folder(trial.number)),
            },
        )

    def _complete(self, trial: Trial, limit: int | None) -> None:
        """Record a trial; a better one than all before leaves its model and configuration."""
        folder = self.folder
        is_best = best_of([*(other for other in folder.trials if other.number != trial.number), trial]) is trial
        if is_best:  # before the record: a kill in between runs this trial again
            folder.take_model(trial.number)
        folder.put(trial)
        if is_best:
            self._write_configuration(trial)
        folder.forget_run(trial.number)
        self._report(trial, limit)

    def _fail(self, trial: Trial, outcome: Outcome, limit: int | None) -> TaxotextError | None:
        """Record a trial that failed; return why, where none has been completed."""
        self.folder.forget_run(trial.number)
        self.folder.put(trial)
        if not any(other.state == "complete" for other in self.folder.trials):
            return outcome.error or TrainingError(outcome.failure)  # a mistake to fix, not a bad choice of settings
        self._report(trial, limit)
        return None

    def _write_configuration(self, trial: Trial) -> None:
        """``best.yaml``: what the user gave, and over it what the trial found."""
        import yaml

        data = self.config.data.model_dump(mode="json", exclude_defaults=True)
        values = {
            "model": self.searched.base.kind.name,
            "data": data,
            **with_values(self.searched.given, trial.settings),
        }
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        head = f"# Trial {trial.number} of `taxotext search`: {self.metric} {trial.value:.4f} on held-out documents.\n"
        write_text_atomically(self.folder.folder / BEST, head + text)

    def _report(self, trial: Trial, limit: int | None) -> None:
        of = "" if limit is None else f" of {limit}"
        tried = ", ".join(f"{key}={_shown(value)}" for key, value in trial.settings.items())
        if trial.value is None:
            self.reporter.note(f"Trial {trial.number}{of}: failed ({trial.reason}): {tried}")
            return
        best = best_of(self.folder.trials) or trial
        beside = "the best so far" if best.number == trial.number else f"best {best.value:.4f}"
        cost = f"{trial.seconds:.1f} s" if trial.same_as is None else f"as trial {trial.same_as}"
        self.reporter.note(f"Trial {trial.number}{of}: {self.metric} {trial.value:.4f} ({beside}), {cost}: {tried}")

    def _finish(self) -> None:
        """See to it that the model and the configuration are those of the best trial, whatever was cut off."""
        folder = self.folder
        for trial in self._running():  # cut off, and with a smaller budget now
            folder.forget_run(trial.number)
        folder.keep([trial for trial in folder.trials if trial.state != "running"])
        best = best_of(folder.trials)
        assert best is not None
        if folder.model_trial() != best.number:
            self.reporter.note(f"Fitting the model of trial {best.number} again: it was not saved.")
            arguments = {**self._request(best, None).arguments, "best": None}
            run_trial(**arguments, searched=self.searched, reporter=self.reporter)
            folder.take_model(best.number)
            folder.forget_run(best.number)
        self._write_configuration(best)


@dataclass
class _Budget:
    """How many more trials may start.

    Args:
        limit: trials all together; None: no limit.
        seconds: no trial starts that would not fit; None: no limit.
        began: where the clock stood when nothing was spent.
        side: trials side by side.
    """

    limit: int | None
    seconds: float | None
    began: float
    side: int
    reporter: Reporter
    ended: bool = False

    def allows(self, trials: Sequence[Trial], at_work: int) -> bool:
        """Whether another trial may start beside those at work."""
        done = [trial for trial in trials if trial.state != "running"]
        if at_work >= self.side or (self.limit is not None and len(done) + at_work >= self.limit):
            return False
        sentence = None if self.ended else self._reason(done)
        if sentence is not None:
            self.reporter.note(sentence)
            self.ended = True
        return not self.ended

    def _reason(self, done: Sequence[Trial]) -> str | None:
        if len(done) >= REPEATED and all(trial.same_as is not None for trial in done[-REPEATED:]):
            return "All settings of the search space have been tried."
        if self.seconds is None or not done:
            return None
        spent = time.monotonic() - self.began
        longest = max((t.seconds for t in [t for t in done if t.same_as is None][-LOOKED_BACK:]), default=0.0)
        if spent + longest <= self.seconds:
            return None
        return (
            f"No other trial fits into {self.seconds / 60:g} minutes: {spent / 60:.1f} are spent and the last trials "
            f"took up to {longest / 60:.1f}."
        )


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the greatest metric, the first of equal ones; None where none is complete."""
    complete = [trial for trial in trials if trial.value is not None]
    return max(complete, key=lambda trial: (trial.value or 0.0, -trial.number), default=None)


def _equal(one: Trial, other: Trial) -> bool:
    return all(same(value, other.settings.get(key)) for key, value in one.settings.items())


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
