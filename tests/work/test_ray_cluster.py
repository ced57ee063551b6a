"""A Ray cluster of two nodes on this machine; one of them is killed. Starting it takes half a minute."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import strange
import taxotext
from command import SAMPLE, Command
from hierarchies import arguments, done, timeless, tiny_run, wait_for, write_tiny_data
from lab import Lab, Notes
from taxotext.api.runs import train_run
from taxotext.errors import ConfigError
from taxotext.progress import Silent
from taxotext.work import Outcome, Request, Workers

pytest.importorskip("ray")
pytestmark = pytest.mark.integration

TESTS = Path(strange.__file__).parent
SOURCE = Path(taxotext.__file__).parents[1]
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_enable_metrics_collection": "0",
    "RAY_worker_niceness": "0",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head with a CPU, which this process is connected to, and a node with another."""
    paths = os.pathsep.join([str(TESTS / "work" / "workers"), str(TESTS), str(SOURCE)])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**QUIET, "PYTHONPATH": paths}.items():
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster

        found = Cluster(initialize_head=True, connect=True, head_node_args={**NODE, "include_dashboard": False})
        try:
            found.add_node(**NODE)
            found.wait_for_nodes()
            yield found
        finally:
            ray.shutdown()
            found.shutdown()


def all_outcomes(executor: Any, count: int) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    while len(found) < count:
        found |= {outcome.key: outcome for outcome in executor.wait(5.0)}
    return found


def test_requests_are_computed_on_both_nodes_and_mistakes_are_sentences(cluster: Any, tmp_path: Path) -> None:
    with Workers("ray").start(1, tmp_path) as executor:
        assert executor.slots == 4  # two CPUs, and as many tasks ahead
        executor.submit("a", Request("strange", {"what": "nap 2.5"}))
        executor.submit("b", Request("strange", {"what": "nap 2.5"}))
        executor.submit("c", Request("strange", {"what": "mistake"}))
        executor.submit("d", Request("strange", {"what": "die once", "flag": str(tmp_path / "died")}))
        found = all_outcomes(executor, 4)
        assert found["c"] == Outcome("c", None, "training.epochs: must be 1 or more.")
        reports = [found[key].report for key in ("a", "b", "d")]
        assert all(report is not None for report in reports)
        assert {report["threads"] for report in reports if report} == {"1"}
        assert len({report["process"] for report in reports if report}) >= 2
        assert (tmp_path / "died").exists()  # its worker was lost, and Ray computed it again
        assert executor.slots > 4  # they were short, so that several make a task from now on


def test_a_task_that_no_node_is_large_enough_for_is_a_sentence(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No machine of the Ray cluster has 64 CPUs"):
        Workers("ray").start(1, tmp_path, threads=64)


def test_cells_of_an_experiment_give_the_same_table(cluster: Any, tmp_path: Path) -> None:
    from taxotext.experiments.folder import ExperimentFolder
    from taxotext.experiments.runner import run_experiment

    lab = Lab(tmp_path)
    settings = lab.settings(speed=False, seeds=[1])
    outcome = run_experiment(settings, tmp_path / "out", Notes(), workers=Workers("ray"))
    assert outcome.failed == {}
    here = lab.compute(tmp_path / "here", stages=("fit",), speed=False, seeds=[1])
    for cell in outcome.cells:
        metrics = [
            json.loads(folder.folder_of(cell).fit.read_text(encoding="utf-8"))["metrics"]
            for folder in (ExperimentFolder(tmp_path / "out"), here)
        ]
        for found in metrics:
            for name in ("seconds", "documents_per_second"):
                del found[name]
        assert metrics[0] == metrics[1]


def test_trials_of_a_search_have_the_metrics_that_they_have_here(cluster: Any, tmp_path: Path) -> None:
    from taxotext.api.search import search

    values = {"model": "linear", "data": write_tiny_data(tmp_path), "features": {"min_documents": 1}}
    options: dict[str, Any] = {"space": {"classifier.c": [0.1, 0.5, 2.0]}, "only": True, "trials": 6}
    found = search(values, tmp_path / "found", workers=Workers("ray"), **options)
    here = search(values, tmp_path / "here", **options)
    assert {trial.state for trial in found.trials} == {"complete"}
    metrics = {trial.settings["classifier.c"]: trial.value for trial in here.trials}
    assert {trial.settings["classifier.c"] for trial in found.trials} == metrics.keys()
    assert all(trial.value == metrics[trial.settings["classifier.c"]] for trial in found.trials)
    assert taxotext.load(tmp_path / "found/model").manifest.metrics["search"]["value"] == found.best.value


def test_shards_that_a_cluster_predicts_are_the_bytes_of_one_process(
    cluster: Any, command: Command, sample_model: Path
) -> None:
    texts = [json.loads(line)["text"] for line in (SAMPLE / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    lines = "".join(json.dumps({"text": texts[number % len(texts)]}) + "\n" for number in range(4500))
    Path("many.jsonl").write_text(lines, encoding="utf-8")
    command("predict", sample_model, "many.jsonl", "-o", "one.jsonl").ok()
    command("predict", sample_model, "many.jsonl", "-o", "out", "--shards", 3, "--executor", "ray").ok()
    joined = b"".join(path.read_bytes() for path in sorted(Path("out").glob("shard-*.jsonl")))
    assert joined == Path("one.jsonl").read_bytes()


def test_a_killed_driver_and_a_killed_node_repeat_nothing_and_change_no_weight(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of the file: one node is gone behind it."""
    from taxotext.work.ray_cluster import RayCluster

    values = tiny_run(write_tiny_data(tmp_path))
    output = tmp_path / "model"
    words = arguments(values, output, "--executor", "ray", "--address", cluster.address)
    with subprocess.Popen([sys.executable, "-m", "taxotext", *words]) as driver:
        assert wait_for(lambda: len(done(output)) >= 3 or driver.poll() is not None, 900)
        driver.send_signal(signal.SIGKILL)
    before = set(done(output))
    assert len(before) >= 3
    asked: list[str] = []
    submit, take = RayCluster.submit, RayCluster._take

    def submitted(self: RayCluster, key: str, request: Request) -> None:
        asked.append(key)
        submit(self, key, request)

    def taken(self: RayCluster, reference: Any) -> list[Outcome]:
        found = take(self, reference)
        if len(cluster.list_all_nodes()) == 2:  # behind the first fit, while the next ones are computed
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        return found

    monkeypatch.setattr(RayCluster, "submit", submitted)
    monkeypatch.setattr(RayCluster, "_take", taken)
    train_run(values, output, resume=True, workers=Workers("ray"), reporter=Silent())
    assert len(cluster.list_all_nodes()) == 1
    assert asked
    assert len(asked) == len(set(asked))
    assert not before & set(asked)
    train_run(values, tmp_path / "undisturbed" / "model", reporter=Silent())
    assert timeless(output) == timeless(tmp_path / "undisturbed" / "model")
