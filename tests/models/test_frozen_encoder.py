"""``encoder.trainable=false``: states computed once, the rest trained on them; the same scores at use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.harness import NETWORK_FILES, check_folder, check_resume, check_system
from taxotext import Classifier
from taxotext.errors import ConfigError
from taxotext.training import RunFolder, states
from tiny import tiny_corpus, tiny_settings

FACTS = ("encoder_source", "encoder_sha256")
TRAINING = {"epochs": 60, "batch_size": 12, "head_learning_rate": 3e-2, "patience": 60}


def settings(source: Path, head: str = "linear", **training: Any) -> dict[str, Any]:
    values: dict[str, Any] = tiny_settings("bert", source, training={**TRAINING, **training})
    values["encoder"] = {**values["encoder"], "trainable": False}
    values["head"] = {"name": head, "dropout": 0.0}
    return values


@pytest.mark.parametrize("head", ["linear", "label_attention"])
def test_a_frozen_encoder_keeps_the_contract_of_all_systems(tiny_encoder: Path, tmp_path: Path, head: str) -> None:
    classifier = check_system(
        "bert",
        settings(tiny_encoder, head),
        tmp_path,
        files=NETWORK_FILES,
        facts=FACTS,
        few=settings(tiny_encoder, head, epochs=1),
        overfits=0.6,  # random states, of which only the head learns
    )
    before = Classifier("bert", **settings(tiny_encoder, head, epochs=1)).fit(tiny_corpus(), validation=tiny_corpus())
    trained = classifier.system.network.encoder.state_dict()  # type: ignore[attr-defined]
    for name, values in before.system.network.encoder.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(trained[name], values), f"{name} was trained"


def test_the_encoder_reads_each_training_text_once(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = states._encode

    def counted(system: Any, windows: Any, start: int, stop: int) -> Any:
        encoded.append(stop - start)
        return encode(system, windows, start, stop)

    monkeypatch.setattr(states, "_encode", counted)
    corpus = tiny_corpus()
    Classifier("bert", **settings(tiny_encoder, epochs=5)).fit(corpus, validation=corpus.subset(range(10)))
    assert sum(encoded) == 70


def test_held_out_scores_are_those_of_use(tiny_encoder: Path) -> None:
    """What was computed from kept states is what the model says of the same texts later."""
    corpus = tiny_corpus()
    held = corpus.subset(range(20))
    model = Classifier("bert", **settings(tiny_encoder, "label_attention", epochs=3)).fit(corpus, validation=held)
    kept = model.manifest.held_out.scores.toarray()  # type: ignore[union-attr]
    now = model.predict_proba(held.texts)
    assert np.abs(np.where(now > 0.001, now, 0) - kept).max() < 1e-3


def test_a_training_on_kept_states_resumes(tiny_encoder: Path, tmp_path: Path) -> None:
    check_resume("bert", settings(tiny_encoder, epochs=3), tmp_path)


def test_a_resumed_training_does_not_encode_again(tiny_encoder: Path, tmp_path: Path) -> None:
    corpus = tiny_corpus()
    run = RunFolder(tmp_path / "m.run", {})
    Classifier("bert", **settings(tiny_encoder, epochs=1)).fit(corpus, validation=corpus, run=run)
    assert (run.checkpoints / "train.states.npy").stat().st_size > 60 * 2 * 32
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(states, "_encode", None)
        Classifier("bert", **settings(tiny_encoder, epochs=1)).fit(corpus, validation=corpus, run=run)


@pytest.mark.parametrize("mode", ["chunk_max", "chunk_mean", "head_tail"])
@pytest.mark.parametrize("head", ["linear", "label_attention"])
def test_long_texts_are_read_in_every_mode(tiny_encoder: Path, tmp_path: Path, mode: str, head: str) -> None:
    values = settings(tiny_encoder, head, epochs=2)
    values["text"] = {"max_tokens": 10, "long_text": mode}
    corpus = tiny_corpus()
    check_folder(Classifier("bert", **values).fit(corpus, validation=corpus), tmp_path, corpus, files=NETWORK_FILES)


def test_the_pooler_of_a_frozen_encoder_is_refused(tiny_encoder: Path) -> None:
    values = settings(tiny_encoder)
    values["encoder"]["pooling"] = "pooler"
    with pytest.raises(ConfigError, match=r"encoder\.pooling: of a frozen encoder the states of the tokens are kept"):
        Classifier("bert", **values).fit(tiny_corpus(), validation=tiny_corpus())
