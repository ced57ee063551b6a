"""Training by gradient descent: selection, stopping, accumulation, exact resume."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from interrupted import Moment, check_same_model, cut_at, cut_at_batch
from taxotext import Classifier
from taxotext.errors import ConfigError, DataError, ModelFolderError
from taxotext.files import temporary_of
from taxotext.processes import Terminated
from taxotext.training import RunFolder, callbacks, gradient, loader, network
from taxotext.training.callbacks import AtomicCheckpoints, EpochCallback
from taxotext.training.module import TextModule
from tiny import make_encoder, tiny_corpus, tiny_settings, tiny_words


def fit(encoder: Path, run: RunFolder | None = None, tune: bool = True, **sections: Any) -> Classifier:
    corpus = tiny_corpus()
    validation = corpus.subset(range(0, 60, 3))
    classifier = Classifier("bert", **tiny_settings("bert", encoder, **sections))
    return classifier.fit(corpus, validation=validation, run=run, tune=tune)


def weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = classifier.system.network.state_dict()  # type: ignore[attr-defined]
    return {name: tensor.clone() for name, tensor in state.items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# -- selection and stopping ----------------------------------------------------------------------------------------


def scripted(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> list[dict[str, torch.Tensor]]:
    """Let validation answer ``scores``; returns the weights at the end of each epoch."""
    states: list[dict[str, torch.Tensor]] = []

    def metrics(system: Any, _: Any) -> dict[str, float]:
        states.append({name: value.clone() for name, value in system.network.state_dict().items()})
        return {"micro_f1": scores[len(states) - 1]}

    monkeypatch.setattr(gradient, "validation_metrics", metrics)
    return states


@pytest.mark.parametrize("mode", ["truncate", "chunk_max"])
def test_token_ids_in_a_file_train_the_network_of_those_in_memory(tiny_encoder: Path, mode: str) -> None:
    sections = {"text": {"max_tokens": 12, "long_text": mode}, "training": {"epochs": 2}}
    in_memory = fit(tiny_encoder, **sections)
    in_a_file = fit(tiny_encoder, **sections, runtime={"tokens_in_memory": 0})
    for classifier, spilled in ((in_memory, False), (in_a_file, True)):
        windows = classifier.system.windows(tiny_corpus().texts)  # type: ignore[attr-defined]
        assert isinstance(windows.tokens.values.base, np.memmap) == spilled
    assert equal(weights(in_memory), weights(in_a_file))
    texts = tiny_corpus().texts
    assert np.array_equal(in_memory.predict_proba(texts), in_a_file.predict_proba(texts))


def test_training_stops_early_and_keeps_the_best_epoch(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = scripted(monkeypatch, [0.2, 0.5, 0.5, 0.4, 0.9, 0.9])
    classifier = fit(tiny_encoder, training={"epochs": 6, "patience": 2})
    assert [row["micro_f1"] for row in classifier.manifest.metrics["history"]] == [0.2, 0.5, 0.5, 0.4]
    assert [row["epoch"] for row in classifier.manifest.metrics["history"]] == [1, 2, 3, 4]
    assert classifier.manifest.metrics["selected"] == "epoch 2 of 4 by validation micro_f1"
    assert equal(weights(classifier), states[1])
    assert not equal(states[1], states[3])


def test_a_better_epoch_gives_patience_anew(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = scripted(monkeypatch, [0.5, 0.4, 0.6, 0.5, 0.7])
    classifier = fit(tiny_encoder, training={"epochs": 5, "patience": 2})
    assert len(states) == 5
    assert equal(weights(classifier), states[4])


def test_no_epoch_begins_that_would_end_after_the_time(tiny_encoder: Path) -> None:
    history = fit(tiny_encoder, training={"epochs": 6, "max_minutes": 1e-6}).manifest.metrics["history"]
    assert len(history) == 1
    history = fit(tiny_encoder, training={"epochs": 3, "patience": 3, "max_minutes": 60}).manifest.metrics["history"]
    assert len(history) == 3


def test_while_all_epochs_score_zero_the_latest_is_kept_and_patience_waits(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = scripted(monkeypatch, [0.0, 0.0, 0.0])
    assert equal(weights(fit(tiny_encoder, training={"epochs": 3, "patience": 1})), states[2])


def test_the_monitored_score_selects(tiny_encoder: Path) -> None:
    classifier = fit(tiny_encoder, training={"epochs": 3, "monitor": "macro_f1"})
    metrics = classifier.manifest.metrics
    best = max(metrics["history"], key=lambda row: row["macro_f1"])
    assert metrics["selected"] == f"epoch {best['epoch']} of 3 by validation macro_f1"


def test_the_history_holds_the_mean_loss_and_the_scores_of_each_epoch(tiny_encoder: Path) -> None:
    history = fit(tiny_encoder, training={"epochs": 3}).manifest.metrics["history"]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    losses = [row["loss"] for row in history]
    assert losses == sorted(losses, reverse=True)
    assert set(history[0]) == {
        *("epoch", "loss", "micro_f1", "macro_f1", "weighted_f1", "samples_f1", "set_accuracy"),
        *("hierarchical_micro_f1", "p@1", "ndcg@5"),
    }


def test_validation_scores_are_those_of_evaluate(tiny_encoder: Path) -> None:
    classifier = fit(tiny_encoder, tune=False, training={"epochs": 1})
    found = classifier.evaluate(tiny_corpus().subset(range(0, 60, 3)))
    for name, value in classifier.manifest.metrics["history"][0].items():
        if name in found:
            assert value == pytest.approx(found[name]), name


@pytest.mark.parametrize("labels", [1, 2, 3])
def test_few_labels_are_enough(labels: int, tiny_encoder: Path) -> None:
    """The cut-offs of the ranking scores may be larger than the number of labels."""
    texts = [f"cat {'dog' if position % 2 else 'trout'}" for position in range(12)]
    names = ["cats", "dogs", "fish"][:labels]
    sets = [[names[position % labels]] for position in range(12)]
    classifier = Classifier("bert", **tiny_settings("bert", tiny_encoder, training={"epochs": 1})).fit(texts, sets)
    assert classifier.predict_proba(texts).shape == (12, labels)
    assert 0 <= classifier.evaluate(texts, sets)["p@5"] <= 1


# -- steps ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def still_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout, so that batches of different sizes can be compared."""
    folder = tmp_path_factory.mktemp("still") / "tiny-bert"
    return make_encoder(folder, tiny_words(), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(costs: np.ndarray, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
        return [np.arange(at, at + batch_size) for at in range(0, len(costs), batch_size)]

    monkeypatch.setattr(loader, "shuffled_plan", plan)


def test_gradients_of_two_half_batches_are_those_of_the_whole(
    still_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_order(monkeypatch)
    states, losses = [], []
    for size, accumulate in ((12, 1), (6, 2), (4, 3)):
        training = {"epochs": 2, "batch_size": size, "accumulate": accumulate, "weight_decay": 0.1}
        classifier = fit(still_encoder, training=training, head={"dropout": 0.0})
        states.append(weights(classifier))
        losses.append([row["loss"] for row in classifier.manifest.metrics["history"]])
    for other in states[1:]:
        for name, tensor in states[0].items():
            torch.testing.assert_close(other[name], tensor, atol=2e-5, rtol=1e-3)
    for other in losses[1:]:
        assert other == pytest.approx(losses[0], rel=1e-4), "the reported loss depends on accumulation"


def test_clipping_bounds_the_norm_of_the_gradient(still_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []
    clip = torch.nn.utils.clip_grad_norm_

    def watched(parameters: Any, limit: float) -> Any:
        parameters = list(parameters)
        clip(parameters, limit)
        norms.append(
            float(torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in parameters if p.grad is not None])))
        )

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watched)
    fit(still_encoder, training={"epochs": 1, "clip": 0.01})
    assert len(norms) == 5
    assert max(norms) <= 0.01 * 1.001
    norms.clear()
    fit(still_encoder, training={"epochs": 1, "clip": 0})
    assert norms == []


def test_no_documents_to_train_or_to_validate_on_are_refused(tiny_encoder: Path) -> None:
    corpus = tiny_corpus()
    classifier = Classifier("bert", **tiny_settings("bert", tiny_encoder))
    with pytest.raises(DataError, match="bert needs training and validation documents; one of the two is empty"):
        classifier.fit(corpus, validation=corpus.subset([]))


def test_a_full_device_is_answered_with_what_to_lower(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TextModule, "training_step", full)
    with pytest.raises(ConfigError, match=r"ran out of memory; lower training.batch_size \(now 12\)"):
        fit(tiny_encoder)


def test_global_switches_and_loggers_are_left_as_they_were(tiny_encoder: Path) -> None:
    import logging

    before = torch.are_deterministic_algorithms_enabled(), logging.getLogger("lightning.pytorch").level
    handler = signal.getsignal(signal.SIGINT)
    fit(tiny_encoder, training={"epochs": 1})
    assert (torch.are_deterministic_algorithms_enabled(), logging.getLogger("lightning.pytorch").level) == before
    assert signal.getsignal(signal.SIGINT) is handler


# -- resume --------------------------------------------------------------------------------------------------------

# Five batches an epoch; rates at which validation scores rise from the start.
PLAIN: dict[str, Any] = {"epochs": 4, "batch_size": 12, "learning_rate": 4e-3, "head_learning_rate": 3e-2}
ACCUMULATED: dict[str, Any] = {**PLAIN, "learning_rate": 1.2e-2, "accumulate": 2, "schedule": "cosine"}


def while_writing_the_checkpoint() -> AbstractContextManager[Moment]:
    def half_a_file(self: Any, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        mine = temporary_of(Path(path))
        mine.with_name(mine.name.replace(f".{os.getpid()}.", ".999999999.")).write_bytes(b"half")

    return cut_at(AtomicCheckpoints, "save_checkpoint", 7, leave=half_a_file)


def behind_an_epoch() -> AbstractContextManager[Moment]:
    return cut_at(EpochCallback, "on_train_batch_end", when=lambda *arguments: arguments[-1] == 9, after=True)


MOMENTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "in the first batch": lambda: cut_at_batch(0),
    "in a batch": lambda: cut_at_batch(8),
    "in the first batch of an epoch": lambda: cut_at_batch(10),
    "in the last batch": lambda: cut_at_batch(19),
    "while the checkpoint is written": while_writing_the_checkpoint,
    "in validation": lambda: cut_at(gradient, "Evaluation", 2),
    "between best and last": lambda: cut_at(callbacks, "save_weights", 2, after=True),
    "right behind an epoch": behind_an_epoch,
    "behind the last batch": lambda: cut_at(network, "load_weights"),
}


@pytest.fixture(scope="module")
def undisturbed(tiny_encoder: Path) -> dict[str, Classifier]:
    return {"plain": fit(tiny_encoder, training=PLAIN), "accumulated": fit(tiny_encoder, training=ACCUMULATED)}


@pytest.mark.parametrize("kind", ["plain", "accumulated"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_cut_training_goes_on_to_the_same_model(
    moment: str, kind: str, tiny_encoder: Path, tmp_path: Path, undisturbed: dict[str, Classifier]
) -> None:
    training = {**(PLAIN if kind == "plain" else ACCUMULATED), "checkpoint_minutes": 0}
    with MOMENTS[moment]():
        fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}), training=training)
    resumed = fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}, resume=True), training=training)
    check_same_model(resumed, undisturbed[kind])


def test_a_training_cut_again_and_again_goes_on_to_the_same_model(
    tiny_encoder: Path, tmp_path: Path, undisturbed: dict[str, Classifier]
) -> None:
    training = {**PLAIN, "checkpoint_minutes": 0}
    for batch in (3, 5, 11, 12, 18):
        with cut_at_batch(batch):
            fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}, resume=True), training=training)
    check_same_model(
        fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}, resume=True), training=training), undisturbed["plain"]
    )


def test_a_resumed_training_does_not_start_again(tiny_encoder: Path, tmp_path: Path) -> None:
    training = {**PLAIN, "checkpoint_minutes": 0}
    with cut_at_batch(8):
        fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}), training=training)
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        step = TextModule.training_step
        patch.setattr(
            TextModule, "training_step", lambda self, batch, index: seen.append(index) or step(self, batch, index)
        )
        fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}, resume=True), training=training)
    assert seen == list(range(8, 20))


def test_early_stopping_survives_a_cut(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {**PLAIN, "epochs": 6, "patience": 2, "checkpoint_minutes": 0}
    scores = [0.5, 0.4, 0.3, 0.9, 0.9, 0.9]
    scripted(monkeypatch, scores)
    whole = fit(tiny_encoder, training=training)
    scripted(monkeypatch, scores)
    with cut_at_batch(12):  # two epochs are over
        fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}), training=training)
    scripted(monkeypatch, scores[2:])
    check_same_model(fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}, resume=True), training=training), whole)
    assert whole.manifest.metrics["selected"] == "epoch 1 of 3 by validation micro_f1"


@pytest.mark.parametrize(("kind", "number"), [("plain", "SIGINT"), ("accumulated", "SIGINT"), ("plain", "SIGTERM")])
def test_an_interrupt_saves_and_stops_behind_the_batch(
    kind: str, number: str, tiny_encoder: Path, tmp_path: Path, undisturbed: dict[str, Classifier]
) -> None:
    training = PLAIN if kind == "plain" else ACCUMULATED
    with pytest.MonkeyPatch.context() as patch:
        step = TextModule.training_step

        def training_step(self: Any, tensors: Any, index: int) -> Any:
            if index == 6:
                signal.raise_signal(signal.Signals[number])
            return step(self, tensors, index)

        patch.setattr(TextModule, "training_step", training_step)
        with pytest.raises(KeyboardInterrupt) as caught:
            fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}), training=training)
    assert isinstance(caught.value, Terminated) == (number == "SIGTERM")
    assert (tmp_path / "m.run/checkpoints/last.ckpt").is_file()
    check_same_model(
        fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}, resume=True), training=training), undisturbed[kind]
    )


def test_an_interrupt_in_the_last_batch_loses_nothing(
    tiny_encoder: Path, tmp_path: Path, undisturbed: dict[str, Classifier]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        end = EpochCallback._end_epoch

        def end_epoch(self: EpochCallback, *arguments: Any) -> None:
            end(self, *arguments)
            if len(self.history) == PLAIN["epochs"]:
                signal.raise_signal(signal.SIGINT)

        patch.setattr(EpochCallback, "_end_epoch", end_epoch)
        check_same_model(fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}), training=PLAIN), undisturbed["plain"])


def test_checkpoints_hold_tensors_and_plain_values_only(tiny_encoder: Path, tmp_path: Path) -> None:
    with cut_at_batch(8):
        fit(tiny_encoder, RunFolder(tmp_path / "m.run", {}), training={**PLAIN, "checkpoint_minutes": 0})
    found = torch.load(tmp_path / "m.run/checkpoints/last.ckpt", weights_only=True)
    assert found["global_step"] == 8
    assert sorted(path.name for path in (tmp_path / "m.run/checkpoints").iterdir()) == ["best.safetensors", "last.ckpt"]


def test_checkpoints_wait_for_their_time(tiny_encoder: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "m.run", {})
    fit(tiny_encoder, run, training={"epochs": 1, "checkpoint_minutes": 5})
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best.safetensors", "finished.json"]


@pytest.mark.parametrize("change", [{"seconds": "long"}, {"best": [1]}, {"history": 3}, {"selected": None}])
def test_a_damaged_record_of_a_finished_network_is_named(
    change: dict[str, Any], tiny_encoder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fit(tiny_encoder, RunFolder(run, {}), training={"epochs": 1})
    path = run / "checkpoints" / "finished.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"finished\.json: is a damaged checkpoint"):
        fit(tiny_encoder, RunFolder(run, {}, resume=True), training={"epochs": 1})


@pytest.mark.parametrize("damage", ["flipped", "cut", "another", "of another network"])
def test_a_damaged_checkpoint_is_named(damage: str, tiny_encoder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with cut_at_batch(9):
        fit(tiny_encoder, RunFolder(run, {}), training={"epochs": 3, "checkpoint_minutes": 0})
    path = run / "checkpoints" / "last.ckpt"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1  # of the numbers of a tensor
    elif damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "another":
        content = bytearray(b"no checkpoint")
    path.write_bytes(content)
    if damage == "of another network":
        torch.save({"state_dict": {"x": torch.zeros(1)}}, path)
    with pytest.raises(ModelFolderError, match=r"last\.ckpt: is a damaged checkpoint .*--resume starts this part"):
        fit(tiny_encoder, RunFolder(run, {}, resume=True), training={"epochs": 3, "checkpoint_minutes": 0})
