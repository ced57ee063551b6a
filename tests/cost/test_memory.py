"""The estimate of memory: sums by hand, measured peaks, and a training that cannot fit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hierarchies import environment
from taxotext import Classifier
from taxotext.cost import memory
from taxotext.cost.memory import Need, check_memory, peak, sentence
from taxotext.data import Corpus
from taxotext.errors import ConfigError
from taxotext.labels import Taxonomy
from tiny import tiny_corpus, tiny_settings

GIB = 2**30


def test_the_phase_that_takes_most_counts() -> None:
    needs = [Need("weights", 4), Need("batch", 5, phase="training"), Need("scores", 7, phase="scoring")]
    size, held = peak(needs)
    assert (size, [need.what for need in held]) == (11, ["scores", "weights"])
    assert peak([]) == (0, [])


def test_what_does_not_fit_is_refused_with_the_setting_that_helps() -> None:
    needs = [
        Need("scores of all", 6 * GIB, "lower a", "scoring"),
        Need("weights", 3 * GIB, "lower b"),
        Need("a little", GIB // 64, "lower c"),
        Need("batch", 4 * GIB, "lower d", "training"),
    ]
    with pytest.raises(ConfigError) as caught:
        check_memory(needs, free=8 * GIB)
    message = str(caught.value)
    assert "needs about 9.0 GiB of memory, and 8.0 GiB are free: lower a; or lower b." in message
    assert "scores of all: 6.0 GiB" in message
    assert "runtime.check_memory=false" in message
    assert "lower c" not in message
    assert "lower d" not in message
    check_memory(needs, free=10 * GIB)


def test_what_is_there_already_takes_none_of_the_free_memory() -> None:
    needs = [Need("weights", 4 * GIB, held=True), Need("gradients", 4 * GIB, "lower a")]
    check_memory(needs, free=5 * GIB)
    with pytest.raises(ConfigError, match=r"needs about 4.0 GiB of memory, and 3.0 GiB are free: lower a\."):
        check_memory(needs, free=3 * GIB)
    assert "about 8.0 GiB" in sentence(needs)


def test_the_gpu_has_a_memory_of_its_own() -> None:
    needs = [Need("weights", 9 * GIB, "take less", on_device=True), Need("tokens", GIB)]
    check_memory(needs, free=2 * GIB, device_free=10 * GIB)
    with pytest.raises(ConfigError, match=r"9\.0 GiB on the GPU, and 8\.0 GiB are free: take less"):
        check_memory(needs, free=2 * GIB, device_free=8 * GIB)
    check_memory(needs, free=2 * GIB)  # nothing is known of the GPU
    assert "about 9.0 GiB of 10.0 GiB that are free on the GPU" in sentence(needs, device_free=10 * GIB)


def test_a_container_may_have_less_than_the_machine(tmp_path: Path) -> None:
    assert memory._of_container(tmp_path) is None
    for name, content in {"memory.max": "max", "memory.current": "1", "memory.stat": ""}.items():
        (tmp_path / name).write_text(content)
    assert memory._of_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("active_file 10\ninactive_file 100\n")
    assert memory._of_container(tmp_path) == 400


def test_this_machine_says_what_is_free() -> None:
    free = memory.available()
    assert free is None or 2**20 < free < 2**50


def corpus(labels: int = 50) -> Corpus:
    texts = ["alpha beta beta gamma", "alpha delta"] * 50
    return Corpus.from_lists(texts, [["0"], ["1"]] * 50, Taxonomy.flat([str(i) for i in range(labels)]))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["linear all", "linear auto", "kim_cnn"])
def test_the_estimate_is_near_the_measured_peak_and_not_above_it(name: str) -> None:
    """What is refused could not fit; small copies that are made on the way are not counted, hence the factor."""
    program = [sys.executable, str(Path(__file__).with_name("peak.py")), name]
    done = subprocess.run(program, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["estimated"] <= found["measured"] <= 1.5 * found["estimated"]


def test_a_training_that_cannot_fit_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(ConfigError, match="decision values of 100 held-out documents for 50 labels"):
        Classifier("linear").fit(corpus())
    Classifier("linear", runtime__check_memory=False).fit(corpus())


def test_a_network_that_cannot_fit_is_refused_before_its_batches(
    monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 10**5)  # enough for the scores, not for the weights
    with pytest.raises(ConfigError, match=r"gradients and the moments of AdamW of [\d,]+ weights"):
        Classifier("bert", **tiny_settings("bert", tiny_encoder)).fit(corpus(), validation=corpus())


STRUCTURES: dict[str, dict[str, object]] = {
    "gcn": {"structure": {"name": "gcn", "width": 8}},
    "la": {"structure": {"name": "gcn", "width": 8, "variant": "la"}},
    "treelstm": {"structure": {"name": "treelstm", "width": 8}},
    "gat": {"structure": {"name": "gat", "width": 8, "heads": 2}},
    "coding_tree": {"structure": {"name": "coding_tree", "width": 8}, "head": {"name": "layers"}},
}


@pytest.mark.parametrize("name", sorted(STRUCTURES))
@pytest.mark.parametrize("model", ["bert", "himtl"])
def test_what_a_structure_encoder_keeps_grows_as_measured(name: str, model: str) -> None:
    import torch

    from taxotext.cost.network import _kept, structure_activations

    corpus = tiny_corpus()
    values = {**tiny_settings("c_hmcnn"), "loss": None, **STRUCTURES[name]}
    if model == "bert":
        values = {**values, "loss": {"name": "bce"}, "head": values.get("head", {"name": "label_vectors"})}
    else:
        values.pop("loss")
        values["head"] = values.get("head", {"name": "label_vectors"})
    system = Classifier(model, **{**values, "training": {"epochs": 1}}).fit(corpus, validation=corpus).system
    network = system.network.cpu()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.get_rng_state()
    for windows in (1, 2, 3, 12):
        assert structure_activations(network, windows, 6) == pytest.approx(_kept(network, windows, 6), rel=0.02)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert structure_activations(network, 12, 6) > 12 * 7 * 8 * 4 / (7 if name == "coding_tree" else 1)
    (need,) = [one for one in system.memory(corpus, corpus) if "structure encoder" in one.what]
    assert need.phase == "training"
    assert "structure.width (now 8)" in need.advice


def test_without_a_structure_encoder_nothing_is_counted_for_one() -> None:
    corpus = tiny_corpus()
    system = Classifier("c_hmcnn", **tiny_settings("c_hmcnn")).fit(corpus, validation=corpus).system
    assert not [one for one in system.memory(corpus, corpus) if "structure encoder" in one.what]
