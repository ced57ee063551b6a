"""A graph of fits, its ledger, and what computes it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strange
from taxotext.errors import ConfigError, ModelFolderError, TrainingError
from taxotext.work import Graph, Ledger, Node, Outcome, Request, Workers, requests, run_graph
from taxotext.work.local import InProcess, Processes

TESTS = Path(strange.__file__).parent


class Notebook:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.started_keys: list[str] = []
        self.finished_keys: list[str] = []
        self.looks = 0

    def started(self, key: str) -> None:
        self.started_keys.append(key)

    def finished(self, key: str, result: Mapping[str, Any]) -> None:
        self.finished_keys.append(key)

    def looked(self) -> None:
        self.looks += 1


class Slots:
    """An executor of some slots that answers the latest request first, with what it was asked."""

    def __init__(self, slots: int, failing: str = "") -> None:
        self.slots, self.failing = slots, failing
        self.waiting: list[tuple[str, Request]] = []
        self.widest = 0

    def submit(self, key: str, request: Request) -> None:
        self.waiting.append((key, request))
        self.widest = max(self.widest, len(self.waiting))

    def wait(self, seconds: float | None = None) -> list[Outcome]:
        key, request = self.waiting.pop()
        return [Outcome(key, None, "It failed.") if key == self.failing else Outcome(key, dict(request.arguments))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Memory(Ledger):
    """A ledger without a disk; what is done must not be written again."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, Any]] = {}

    def read(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        return {key: self.results[key] for key in keys if key in self.results}

    def write(self, key: str, result: Mapping[str, Any]) -> None:
        assert key not in self.results
        self.results[key] = dict(result)


def asks(key: str, *needs: str) -> Node:
    """A node whose result names what it was started with."""
    return Node(key, needs, lambda results: Request("echo", {"key": key, "with": sorted(results)}))


DIAMOND = (asks("d", "b", "c"), asks("b", "a"), asks("c", "a"), asks("a"))


# -- graphs --------------------------------------------------------------------------------------------------------


def test_an_order_puts_needs_first_and_heights_count_the_longest_chain_above() -> None:
    graph = Graph([*DIAMOND, asks("e", "d"), asks("alone")])
    assert all(
        graph.order.index(need) < graph.order.index(key)
        for key, need in [("b", "a"), ("c", "a"), ("d", "b"), ("d", "c"), ("e", "d")]
    )
    assert graph.height == {"a": 4, "b": 3, "c": 3, "d": 2, "e": 1, "alone": 1}
    assert len(graph) == 6
    assert sorted(graph.dependents["a"]) == ["b", "c"]


def test_impossible_graphs_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no node 'x'"):
        Graph([asks("a", "x")])
    with pytest.raises(ValueError, match="two nodes have the same key"):
        Graph([asks("a"), asks("a")])
    with pytest.raises(ValueError, match="need each other") as error:
        Graph([asks("a", "c"), asks("b", "a"), asks("c", "b")])
    assert all(f"{key}" in str(error.value) for key in "abc")


def test_every_node_starts_when_all_it_needs_is_done_and_the_longest_chain_first(tmp_path: Path) -> None:
    watcher, executor = Notebook(), Slots(2)
    graph = Graph([asks("alone"), *DIAMOND])
    results = run_graph(graph, executor, Ledger(tmp_path), watcher)
    assert watcher.started_keys[0] == "a"  # four nodes wait for its chain, none for "alone"
    assert results["d"] == {"key": "d", "with": ["b", "c"]}
    assert executor.widest == 2
    assert sorted(watcher.finished_keys) == ["a", "alone", "b", "c", "d"]


def test_a_node_that_asks_for_nothing_gives_its_result_at_once(tmp_path: Path) -> None:
    executor = Slots(1)
    best = Node("best", ("a",), lambda results: {"chosen": results["a"]["key"]}, instant=True)
    nodes = [asks("a"), best, asks("b", "best")]
    results = run_graph(Graph(nodes), executor, Ledger(tmp_path), Notebook())
    assert results["best"] == {"chosen": "a"}
    assert results["b"] == {"key": "b", "with": ["best"]}
    assert json.loads((tmp_path / "best.json").read_text()) == {"chosen": "a"}


def test_an_instant_node_waits_neither_for_higher_ones_nor_for_a_slot(tmp_path: Path) -> None:
    """Else states of fits that have lost lie on the disk as long as other labels have much below them."""
    watcher, executor = Notebook(), Slots(2)
    chosen = Node("chosen", ("a",), lambda results: {"from": "a"}, instant=True)
    chain = [asks("x"), asks("y", "x"), asks("z", "y"), asks("x2"), asks("y2", "x2"), asks("z2", "y2")]
    graph = Graph([asks("a"), asks("b", "a"), asks("c", "b"), asks("d", "c"), chosen, *chain])
    run_graph(graph, executor, Ledger(tmp_path), watcher)
    at = watcher.finished_keys.index("a")
    assert watcher.finished_keys[at + 1] == "chosen"
    assert executor.widest == 2


def test_what_is_in_the_ledger_is_never_computed_again(tmp_path: Path) -> None:
    ledger, watcher = Ledger(tmp_path), Notebook()
    ledger.write("a", {"key": "a", "from": "before"})
    ledger.write("b", {"key": "b", "from": "before"})
    results = run_graph(Graph(DIAMOND), Slots(1), ledger, watcher)
    assert watcher.started_keys == ["c", "d"]
    assert watcher.finished_keys[:2] == ["a", "b"]  # those of before are told first
    assert results["a"]["from"] == "before"
    again = Notebook()
    assert run_graph(Graph(DIAMOND), Slots(1), ledger, again) == results
    assert again.started_keys == []


def test_a_failure_ends_with_a_sentence_and_keeps_what_is_done(tmp_path: Path) -> None:
    ledger, watcher = Ledger(tmp_path), Notebook()
    with pytest.raises(TrainingError, match=r"^It failed. What is done is kept: go on with --resume.$"):
        run_graph(Graph(DIAMOND), Slots(1, failing="c"), ledger, watcher)
    done = set(ledger.read("abcd"))
    assert "a" in done
    assert not done & {"c", "d"}
    second = Notebook()
    results = run_graph(Graph(DIAMOND), Slots(1), ledger, second)
    assert sorted(results) == list("abcd")
    assert not done & set(second.started_keys)


def test_a_ledger_that_cannot_be_written_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)

    def write(key: str, result: Mapping[str, Any]) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / f"{key}.json"))

    monkeypatch.setattr(ledger, "write", write)
    with pytest.raises(TrainingError, match=r"a.json: No space left on device. What is done is kept: go on with --res"):
        run_graph(Graph(DIAMOND), Slots(1), ledger, Notebook())


@given(
    edges=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16),
    slots=st.integers(1, 4),
    done=st.integers(0, 8),
)
def test_any_graph_is_computed_once_and_in_order(edges: list[tuple[int, int]], slots: int, done: int) -> None:
    needs: dict[int, set[str]] = {node: set() for node in range(8)}
    for first, second in edges:
        if first != second:
            needs[max(first, second)].add(str(min(first, second)))
    graph = Graph(asks(str(node), *sorted(needs[node])) for node in reversed(range(8)))
    ledger, watcher = Memory(), Notebook()
    for key in graph.order[:done]:
        ledger.write(key, {"key": key, "with": []})
    results = run_graph(graph, Slots(slots), ledger, watcher)
    assert sorted(watcher.started_keys) == sorted(graph.order[done:])
    assert all(results[key]["with"] == sorted(graph[key].needs) for key in graph.order[done:])
    assert results == ledger.read(graph.order)


# -- ledger --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"), [("{cut", "is damaged"), ("[1]", "must be a JSON object"), ("", "is damaged")]
)
def test_a_damaged_result_is_named_with_what_to_do(content: str, sentence: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "done")
    ledger.write("0.1.2", {"f1": 0.5})
    assert ledger.read(["0.1.2", "0.1.3"]) == {"0.1.2": {"f1": 0.5}}
    (tmp_path / "done/0.1.2.json").write_text(content)
    with pytest.raises(ModelFolderError, match=rf"0.1.2.json: {sentence}.*remove it, and it is computed again"):
        ledger.read(["0.1.2"])


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "a b", "x" * 101])
def test_a_key_is_never_a_path(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be a key"):
        Ledger(tmp_path).write(key, {})


# -- executors -----------------------------------------------------------------------------------------------------


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes that know the task ``strange``."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS / "work" / "workers"), str(TESTS)]))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process knows it too."""
    monkeypatch.setitem(requests.TASKS, "strange", "strange:strange")


def ask(what: str, **arguments: str) -> Request:
    return Request("strange", {"what": what, **arguments})


FULL = "/disk/fits/1.safetensors: No space left on device."
MISTAKE = "training.epochs: must be 1 or more."


def test_one_process_computes_here_and_several_elsewhere(tmp_path: Path) -> None:
    assert isinstance(Workers().start(1, tmp_path, here=True), InProcess)
    for processes in (1, 3):
        with Workers().start(processes, tmp_path) as elsewhere:
            assert isinstance(elsewhere, Processes)
            assert elsewhere.slots == processes


def test_an_unknown_executor_and_an_address_for_local_processes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"executor is 'rya'; choose processes or ray\. Did you mean 'ray'\?"):
        Workers("rya")
    with pytest.raises(ConfigError, match="address names a Ray cluster; give executor='ray' as well"):
        Workers(address="10.0.0.1:6379")


@pytest.mark.usefixtures("here")
def test_in_this_process_mistakes_are_sentences_and_errors_of_the_program_are_errors() -> None:
    with InProcess() as executor:
        executor.submit("a", ask("work"))
        assert executor.wait()[0].report == {"what": "work", "process": os.getpid(), "threads": _threads()}
        for what, sentence in (("mistake", MISTAKE), ("full", FULL)):
            executor.submit(what, ask(what))
            assert executor.wait() == [Outcome(what, None, sentence)]
        executor.submit("bug", ask("bug"))
        with pytest.raises(ZeroDivisionError):
            executor.wait()


def _threads() -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


@pytest.mark.usefixtures("workers")
def test_workers_answer_replace_their_dead_and_end_with_their_executor(tmp_path: Path) -> None:
    flag = tmp_path / "died"
    with Processes(2, tmp_path / "logs", advice="give it more") as executor:
        executor.submit("a", ask("work"))
        executor.submit("b", ask("die once", flag=str(flag)))
        outcomes = {outcome.key: outcome for _ in range(2) for outcome in executor.wait()}
        reports = {key: outcome.report for key, outcome in outcomes.items()}
        assert reports["a"] is not None
        assert reports["b"] is not None
        assert flag.exists()
        processes = {reports["a"]["process"], reports["b"]["process"]}
        assert len(processes) == 2
        assert os.getpid() not in processes
        assert reports["a"]["threads"] == "1"  # one thread each, or they would fight for the cores
        # Mistakes, a full disk and errors of the program come back as sentences; the worker lives on.
        for what, sentence in (
            ("mistake", MISTAKE),
            ("full", FULL),
            ("bug", "an error inside the program: ZeroDivisionError: division by zero."),
        ):
            executor.submit(what, ask(what))
            assert executor.wait() == [Outcome(what, None, sentence)]
        executor.submit("c", ask("work"))
        executor.submit("d", ask("work"))
        after = {outcome.report["process"] for _ in range(2) for outcome in executor.wait() if outcome.report}
        assert after == processes
        # One that dies over every try is given up after three.
        executor.submit("e", ask("die"))
        (outcome,) = executor.wait()
        assert outcome.key == "e"
        assert outcome.report is None
        assert outcome.failure.startswith(
            "3 processes have ended over the same piece of work (e); the last one was killed by "
        )
        assert "signal 9" in outcome.failure
        assert "memory ran out: give it more." in outcome.failure
        # One that dies while it has nothing to do is missed by nobody.
        left = next(number for number in processes if _lives(number))
        os.kill(left, signal.SIGKILL)
        executor.submit("f", ask("work"))
        (outcome,) = executor.wait()
        assert outcome.report is not None
        assert outcome.report["process"] not in {left}
        process = outcome.report["process"]
        os.kill(process, signal.SIGINT)  # Ctrl-C reaches the whole group, and the parent decides
        executor.submit("g", ask("work"))
        assert executor.wait()[0].report == {**outcome.report}
        executor.submit("h", ask("sleep"))
    until = time.monotonic() + 10
    while _lives(process) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _lives(process)
    logs = "".join(path.read_text() for path in sorted((tmp_path / "logs").iterdir()))
    assert "last words" in logs  # what is printed goes there, not among the answers
    assert "ZeroDivisionError" in logs


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.usefixtures("workers")
def test_a_dead_worker_does_not_spoil_the_end(tmp_path: Path) -> None:
    """What it was to read is still in the pipe, and must not fail again when the pipe is closed."""
    with Processes(1, tmp_path) as executor:
        executor.submit("a", ask("work"))
        (outcome,) = executor.wait()
        assert outcome.report is not None
        worker = next(iter(executor._workers.values()))
        worker.kill()
        executor.submit("b", ask("work"))
    assert executor._workers == {}


@pytest.mark.usefixtures("workers")
def test_waiting_ends_when_its_time_is_up(tmp_path: Path) -> None:
    with Processes(1, tmp_path) as executor:
        executor.submit("a", ask("sleep"))
        assert executor.wait(0.05) == []


@pytest.mark.usefixtures("workers")
def test_a_watcher_looks_at_long_work_about_once_a_second(tmp_path: Path) -> None:
    notebook = Notebook()
    graph = Graph([Node("a", (), lambda results: Request("strange", {"what": "nap 2.5"}))])
    with Processes(1, tmp_path / "logs") as executor:
        run_graph(graph, executor, Ledger(tmp_path / "done"), notebook)
    assert notebook.looks >= 1


@pytest.mark.usefixtures("workers")
def test_a_process_has_the_threads_that_it_is_given(tmp_path: Path) -> None:
    with Processes(1, tmp_path, threads=3) as executor:
        executor.submit("a", ask("work"))
        report = executor.wait()[0].report
    assert report is not None
    assert report["threads"] == "3"


@pytest.mark.usefixtures("workers")
def test_what_is_given_up_leaves_no_thread_and_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    with Processes(2, tmp_path) as executor:
        executor.submit("a", ask("sleep"))
        executor.submit("b", ask("work"))
        assert executor.wait()[0].key == "b"
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) == before
    assert caplog.messages == []


@pytest.mark.usefixtures("workers")
def test_a_death_takes_no_other_fit_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Processes(2, tmp_path) as executor:
        executor.submit("a", ask("work"))
        (outcome,) = executor.wait()
        assert outcome.report is not None
        executor.submit("b", ask("sleep"))  # by the same process
        executor.submit("c", ask("die"))
        (outcome,) = executor.wait()
        assert outcome.failure.startswith("3 processes have ended over the same piece of work (c)")
        assert len(executor._running) == 1
        assert executor._workers[1].poll() is None
    assert len(caplog.messages) == 2
    assert all(message.startswith("Worker 2 was killed by signal 9; another one") for message in caplog.messages)
