"""The estimate of memory: sums by hand, and a training that cannot fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taxotext import Classifier
from taxotext.cost import memory
from taxotext.cost.memory import Need, check_memory, peak, sentence
from taxotext.data import Corpus
from taxotext.errors import ConfigError
from taxotext.labels import Taxonomy
from taxotext.models.linear import Linear, LinearSettings

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


def test_linear_counts_scores_features_and_coefficients() -> None:
    system = Linear(LinearSettings(runtime={"threads": 2}), corpus().taxonomy)  # type: ignore[arg-type]
    sizes = {need.what: need.size for need in system.memory(corpus(), None)}
    entries = 50 * 3 + 50 * 2
    assert sizes == {
        "decision values of 100 held-out documents for 50 labels": 100 * 50 * 4,
        f"features of 100 documents, about {entries} entries": 12 * entries,
        "features in each of 2 solvers": 2 * 16 * entries,
    }
    system.fit(corpus())
    last = system.memory(corpus(), corpus().subset(range(10)))[-1]
    # 4 features, 2 labels with documents
    assert (last.what, last.size) == ("coefficients of 4 features for 2 labels, a quarter of them or more", 4 * 4 * 2)


def test_a_training_that_cannot_fit_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(ConfigError, match="decision values of 100 held-out documents for 50 labels"):
        Classifier("linear").fit(corpus())
    Classifier("linear", runtime__check_memory=False).fit(corpus())


def test_a_network_that_cannot_fit_is_refused_before_its_batches(
    monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path
) -> None:
    free = [2**40]
    monkeypatch.setattr(memory, "available", lambda: free[0])
    from taxotext.cost import network as neural_memory

    asked: Any = {"encoder__source": str(tiny_encoder), "runtime__device": "cpu", "training__epochs": 1}
    asked["text__max_tokens"] = 32
    model = Classifier("bert", **asked).fit(corpus())
    part = corpus().subset(range(10))
    needs = neural_memory.needs(model.system, corpus(), part, model.system.network, together=2048)  # type: ignore[arg-type]
    sizes = {need.what: need.size for need in needs}
    parameters = sum(parameter.numel() for parameter in model.system.network.parameters())  # type: ignore[attr-defined]
    assert sizes[f"{parameters:,} weights, their gradients and the moments of AdamW"] == 12 * parameters
    assert sizes["scores of 10 validation documents at a time for 50 labels"] == 4 * 50 * 10
    assert sizes["scores and targets of a batch of 16 documents for 50 labels"] == 5 * 4 * 16 * 50
    config = model.system.network.encoder.model.config  # type: ignore[attr-defined]
    [width] = {int(what.split()[-2]) for what in sizes if what.startswith("activations")}
    share = 34 + 5 * config.num_attention_heads * width / config.hidden_size
    exact = 2 * 16 * width * config.hidden_size * config.num_hidden_layers * share
    bf16 = model.system.runtime().bf16  # type: ignore[attr-defined]
    assert sizes[f"activations of a batch of 16 documents of {width} tokens"] == int(exact / 2 if bf16 else exact)
    free[0] = 12 * parameters  # less than all of it, more than the scores alone
    with pytest.raises(ConfigError, match=r"weights, their gradients and the moments of AdamW"):
        Classifier("bert", **asked).fit(corpus())
