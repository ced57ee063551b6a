"""Exported folders: a pipeline of transformers gives the scores of the network, with the cuts of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from command import Command
from taxotext.errors import ConfigError
from taxotext.store.hugging_face import export_hugging_face
from tiny import tiny_corpus, tiny_documents, tiny_fit

TEXTS = [*tiny_documents(12, seed=7)[0], "cat " * 60, "a"]


def encoder(source: Path, **settings: Any) -> dict[str, Any]:
    return {"name": "transformer", "source": str(source), **settings}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of exported folders is copied into a cache, by the name of the folder."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))


@pytest.mark.parametrize(
    "settings",
    [{}, {"pooling": "cls"}, {"pooling": "pooler"}, {"trainable": False}],
    ids=["mean", "cls", "pooler", "frozen"],
)
def test_a_pipeline_gives_the_probabilities_of_the_model(
    settings: dict[str, Any], tiny_encoder: Path, tmp_path: Path
) -> None:
    from transformers import pipeline

    model = tiny_fit("bert", tiny_corpus(), encoder=encoder(tiny_encoder, **settings))
    export_hugging_face(tmp_path / "exported", model.system, model.manifest)
    there = pipeline(
        "text-classification", str(tmp_path / "exported"), top_k=None, trust_remote_code=True, device="cpu"
    )
    found = there(TEXTS, truncation=True, batch_size=5)
    scores = [{row["label"]: row["score"] for row in rows} for rows in found]
    ids = list(model.taxonomy.ids)
    assert all(set(rows) == set(ids) for rows in scores)
    table = np.asarray([[rows[label] for label in ids] for rows in scores])
    np.testing.assert_allclose(table, model.predict_proba(TEXTS), atol=1e-5 if "trainable" not in settings else 1e-4)


def test_what_a_pipeline_cannot_do_is_refused(tiny_encoder: Path, sample_model: Path, tmp_path: Path) -> None:
    linear = taxotext.load(sample_model)
    attention = tiny_fit("bert", encoder=encoder(tiny_encoder), head={"name": "label_attention"})
    pieces = tiny_fit("bert", encoder=encoder(tiny_encoder), text={"long_text": "chunk_max"})
    for model, said in (
        (linear, "linear is not a pretrained transformer"),
        (attention, "bert has more than a linear layer"),
        (pieces, "text.long_text is chunk_max"),
    ):
        with pytest.raises(ConfigError, match=said):
            export_hugging_face(tmp_path / "exported", model.system, model.manifest)
    assert not (tmp_path / "exported").exists()


def test_the_command_writes_a_folder_and_keeps_others(tiny_encoder: Path, command: Command, tmp_path: Path) -> None:
    tiny_fit("bert", encoder=encoder(tiny_encoder)).save(tmp_path / "model")
    assert "Wrote exported." in command("export", "model", "--to", "hf", "--output", "exported").ok().err
    command("export", "model", "--to", "hf", "--output", "exported").refused("--overwrite")
    command("export", "model", "--to", "hf", "--output", "exported", "--overwrite").ok()
    command("export", "model", "--to", "hf", "--output", "model", "--overwrite").refused("is not an exported model")
    command("export", "model", "--to", "hff", "--output", "x").refused("Did you mean 'hf'?")
