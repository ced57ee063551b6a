"""The Lightning module: learning rates, parameter groups, random numbers of a batch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taxotext.composition.neural_settings import TrainingSettings
from taxotext.errors import DataError
from taxotext.models.registry import find
from taxotext.nn.batch import TrainingBatch
from taxotext.settings import parse_settings
from taxotext.training.loader import TrainingLoader
from taxotext.training.module import TextModule, _rate
from tiny import tiny_corpus, tiny_settings


@pytest.fixture
def system(tiny_encoder: Path) -> Any:
    corpus = tiny_corpus()
    kind = find("bert")
    built: Any = kind(parse_settings(kind.Settings, tiny_settings("bert", tiny_encoder)), corpus.taxonomy)
    built.build(corpus)
    return built


def factors(steps: int, **settings: Any) -> list[float]:
    rate = _rate(TrainingSettings(**settings), steps)
    return [rate(step) for step in range(steps + 1)]


def test_the_linear_schedule_rises_to_one_and_falls_to_zero() -> None:
    assert factors(10, schedule="linear", warmup=0.2) == pytest.approx(
        [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0.0]
    )


def test_the_cosine_schedule_is_half_way_down_in_the_middle() -> None:
    found = factors(8, schedule="cosine", warmup=0.0)
    assert found == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(9)])
    assert found[4] == pytest.approx(0.5)


def test_the_constant_schedule_only_warms_up() -> None:
    assert factors(6, schedule="constant", warmup=0.5) == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1])


def test_the_warm_up_is_rounded_up_and_never_gives_a_rate_of_zero() -> None:
    assert factors(5, schedule="linear", warmup=0.1)[0] == 1.0
    assert all(factor > 0 for factor in factors(25, schedule="linear", warmup=0.1)[:-1])
    assert factors(1, schedule="linear", warmup=0.9)[0] == 1.0


def test_each_parameter_is_in_one_group_with_its_rate_and_decay(system: Any) -> None:
    optimizer = module_of(system).configure_optimizers()["optimizer"]
    training = system.settings.training
    place = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    parameters = dict(system.network.named_parameters())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(parameters) == len(place)
    for name, parameter in parameters.items():
        group = place[id(parameter)]
        expected = training.learning_rate if name.startswith("encoder.") else training.head_learning_rate
        assert group["initial_lr"] == expected, name
        is_vector = name.endswith("bias") or "LayerNorm" in name
        assert group["weight_decay"] == (0.0 if is_vector else training.weight_decay), name


def test_frozen_parameters_are_in_no_group(system: Any) -> None:
    system.network.encoder.requires_grad_(False)
    optimizer = module_of(system).configure_optimizers()["optimizer"]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_the_random_numbers_of_a_batch_depend_on_seed_and_batch_alone(system: Any) -> None:
    module = module_of(system)

    def drawn(batch: int) -> list[float]:
        module.on_train_batch_start(None, batch)
        return torch.rand(4).tolist()

    first = drawn(7)
    torch.rand(100)
    assert drawn(8) != first
    assert drawn(7) == first


def test_dropout_masks_of_a_batch_are_the_same_again(system: Any) -> None:
    module = module_of(system)
    module.train()
    loader = loader_of(system)
    batch = next(iter(loader))
    losses = []
    for _ in range(2):
        module.on_train_batch_start(batch, 3)
        losses.append(float(module.training_step(batch, 3).detach()))
    module.on_train_batch_start(batch, 4)
    assert losses[0] == losses[1] != float(module.training_step(batch, 4).detach())


def test_a_loss_that_is_no_number_stops_with_advice(system: Any) -> None:
    module = module_of(system)
    module.network.head.criterion = Nothing()
    batch = next(iter(loader_of(system)))
    with pytest.raises(DataError, match=r"no longer a number at batch 20: .*Lower training.learning_rate"):
        module.training_step(batch, 20)


class Nothing(torch.nn.Module):
    def forward(self, *_: torch.Tensor) -> torch.Tensor:
        return torch.tensor(math.nan)


def module_of(system: Any) -> Any:
    pretrained = system.pretrained_parameters()
    return TextModule(system.network, system.settings.training, system.settings.seed, 10, pretrained)


def loader_of(system: Any, **changes: Any) -> TrainingLoader:
    corpus = tiny_corpus()
    values: dict[str, Any] = {"batch_size": 8, "epochs": 3, "seed": 1, "pad_id": 0, **changes}
    return TrainingLoader(system.windows(corpus.texts), corpus.known_targets, corpus.weights, **values)


def same(one: TrainingBatch, other: TrainingBatch) -> bool:
    return torch.equal(one.tokens.ids, other.tokens.ids) and torch.equal(one.targets.dense(), other.targets.dense())


def test_the_loader_goes_on_from_any_position(system: Any) -> None:
    whole = list(loader_of(system))
    assert len(whole) == len(loader_of(system)) == 3 * 8  # 60 documents in batches of 8, three epochs
    for position in (0, 1, 7, 8, 9, 23, 24):
        first, second = loader_of(system), loader_of(system)
        batches = iter(first)
        for _ in range(position):
            next(batches)
        assert first.state_dict() == {"position": position}
        second.load_state_dict(first.state_dict())
        rest = list(second)
        assert len(rest) == 24 - position
        assert all(same(one, other) for one, other in zip(rest, whole[position:], strict=True))


def test_each_epoch_shows_each_document_once(system: Any) -> None:
    corpus = tiny_corpus()
    batches = list(loader_of(system))
    expected = np.sort(corpus.known_targets.toarray().astype(float) @ 2.0 ** np.arange(7))
    for epoch in range(3):
        targets = np.concatenate([batch.targets.dense().numpy() for batch in batches[8 * epoch : 8 * epoch + 8]])
        assert np.array_equal(np.sort(targets @ 2.0 ** np.arange(7)), expected)
        assert batches[8 * epoch].targets.weights is None


def test_weights_come_with_their_documents(system: Any) -> None:
    corpus = tiny_corpus(weights=[float(position) for position in range(60)])
    loader = TrainingLoader(
        system.windows(corpus.texts), corpus.known_targets, corpus.weights, batch_size=7, epochs=1, seed=0, pad_id=0
    )
    assert sorted(weight for batch in loader for weight in batch.targets.weights.tolist()) == list(range(60))
