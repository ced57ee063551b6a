"""Weight averaging: the mean of the epochs, what is validated, batch normalisation, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.harness import check_resume
from taxotext import Classifier
from taxotext.training import callbacks, gradient
from taxotext.training.averaging import WeightAverage, refresh_norms
from tiny import tiny_corpus, tiny_fit, tiny_settings


def test_the_mean_of_weights_is_running_and_stands_in_for_them() -> None:
    network = nn.Linear(2, 1, bias=False)
    average = WeightAverage(1)
    rows = [[1.0, 2.0], [3.0, 6.0], [8.0, 1.0]]
    for row in rows:
        with torch.no_grad():
            network.weight.copy_(torch.tensor([row]))
        average.add(network)
    assert average.count == 3
    with average.in_place(network):
        assert network.weight.tolist() == [[4.0, 3.0]]
    assert network.weight.tolist() == [[8.0, 1.0]]


def test_own_weights_come_back_after_an_error_too() -> None:
    network = nn.Linear(1, 1)
    average = WeightAverage(1)
    average.add(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.weight.add_(1.0)
    with pytest.raises(KeyboardInterrupt), average.in_place(network):
        raise KeyboardInterrupt
    assert float(network.weight.detach() - before["weight"]) == pytest.approx(1.0)


def test_the_state_of_a_mean_goes_on_elsewhere() -> None:
    network = nn.Linear(2, 2)
    one, other = WeightAverage(2), WeightAverage(2)
    one.add(network)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        network.weight.mul_(3.0)
    one.add(network)
    other.add(network)
    assert one.count == other.count == 2
    means = [average.state_dict()["mean"] for average in (one, other)]
    assert all(torch.equal(means[0][name], means[1][name]) for name in ("weight", "bias"))


def fit(name: str, values: dict[str, Any]) -> Classifier:
    corpus = tiny_corpus()
    return Classifier(name, **values).fit(corpus, validation=corpus.subset(range(0, 60, 3)))


def watched(patch: pytest.MonkeyPatch, scores: list[float]) -> tuple[list[Any], list[Any]]:
    """The weights at the end of each epoch and those that are validated, which score as given."""
    raw: list[Any] = []
    judged: list[Any] = []
    end = callbacks.EpochCallback._end_epoch

    def ended(self: Any, trainer: Any, module: Any) -> None:
        raw.append({name: value.clone() for name, value in self._network.named_parameters()})
        end(self, trainer, module)

    def metrics(system: Any, _: Any) -> dict[str, float]:
        judged.append({name: value.detach().clone() for name, value in system.network.named_parameters()})
        return {"micro_f1": scores[len(judged) - 1]}

    patch.setattr(callbacks.EpochCallback, "_end_epoch", ended)
    patch.setattr(gradient, "validation_metrics", metrics)
    return raw, judged


def test_from_its_start_on_the_mean_is_validated_and_kept(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, judged = watched(monkeypatch, [0.1, 0.2, 0.3, 0.5, 0.4])
    training = {"epochs": 5, "averaging": "swa", "averaging_start": 0.4, "schedule": "constant"}
    classifier = fit("bert", tiny_settings("bert", tiny_encoder, training=training))
    for name in raw[0]:
        assert torch.equal(judged[1][name], raw[1][name])
        for epoch in (2, 3, 4):  # the third to the fifth epoch
            mean = torch.stack([weights[name] for weights in raw[2 : epoch + 1]]).mean(0)
            torch.testing.assert_close(judged[epoch][name], mean, atol=1e-6, rtol=1e-5)
        kept = classifier.system.network.state_dict()[name]  # type: ignore[attr-defined]
        assert torch.equal(kept, judged[3][name])
    selected = "epoch 4 of 5 (mean of the weights of epochs 3 to 4) by validation micro_f1"
    assert classifier.manifest.metrics["selected"] == selected


def test_patience_counts_from_the_start_of_averaging(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, judged = watched(monkeypatch, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    training = {"epochs": 8, "averaging": "swa", "averaging_start": 0.5, "patience": 2}
    classifier = fit("bert", tiny_settings("bert", tiny_encoder, training=training))
    assert len(judged) == 6  # epochs 5 and 6 were the first of the mean, and no better
    assert classifier.manifest.metrics["selected"] == "epoch 1 of 6 by validation micro_f1"


def test_without_averaging_nothing_changes(tiny_encoder: Path) -> None:
    states = []
    for training in ({"epochs": 2}, {"epochs": 2, "averaging": "swa", "averaging_start": 0.5}):
        classifier = fit("bert", tiny_settings("bert", tiny_encoder, training=training))
        states.append(classifier.system.network.state_dict())  # type: ignore[attr-defined]
    # The mean of one epoch is that epoch.
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_statistics_of_batch_normalisation_are_those_of_the_mean_weights() -> None:
    corpus = tiny_corpus()
    system: Any = tiny_fit("textcnn", training={"batch_size": 60}).system
    windows, runtime = system.windows(corpus.texts), system.runtime()
    norm = system.network.encoder.norm
    seen: list[torch.Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach()))
    with torch.no_grad():
        norm.running_mean.fill_(9.0)
    refresh_norms(system.network, windows, runtime, batch_size=60, seed=13, pad_id=system.tokenizer.pad_id)
    hook.remove()
    torch.testing.assert_close(norm.running_mean, seen[0].mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, seen[0].var(0), atol=1e-5, rtol=1e-4)
    assert norm.momentum == 0.1
    before = {name: value.clone() for name, value in system.network.state_dict().items()}
    refresh_norms(system.network, windows, runtime, batch_size=60, seed=13, pad_id=system.tokenizer.pad_id)
    after = system.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "taken twice, they differ"


def test_levels_of_a_label_tree_are_averaged_with_an_encoder_that_normalises() -> None:
    corpus = tiny_corpus()
    classifier = Classifier(
        "attention_xml",
        encoder={"name": "textcnn", "filters": 8, "kernel": 3, "hidden": 8, "vocabulary": {"min_count": 1}},
        head={"name": "label_levels", "tree": {"cluster_size": 2, "branching": 2}, "beam": 2, "hidden": (8,)},
        training={"epochs": 2, "batch_size": 20, "averaging": "swa", "averaging_start": 0.0, "patience": 2},
        runtime={"device": "cpu"},
    ).fit(corpus, validation=corpus)
    norms = [module for module in classifier.system.network.modules() if isinstance(module, nn.BatchNorm1d)]  # type: ignore[attr-defined]
    # Taken anew from the three batches of an epoch, not over the six of the training.
    assert [int(norm.num_batches_tracked) for norm in norms] == [3] * len(norms)
    assert len(norms) >= 2


def test_a_cut_training_goes_on_to_the_same_mean(tiny_encoder: Path, tmp_path: Path) -> None:
    training = {"epochs": 3, "averaging": "swa", "averaging_start": 0.3, "learning_rate": 4e-3}
    check_resume("bert", tiny_settings("bert", tiny_encoder, training=training), tmp_path)
