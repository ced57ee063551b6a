"""Exported folders: ONNX Runtime gives the scores of the network, for texts of all lengths, and torch is not needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import taxotext
from command import Command
from models.test_structure_systems import CODING_TREE, GCN, LAYERS, RCNN, TREELSTM
from serving.client import serving
from taxotext import Classifier, Corpus
from taxotext.decoding import Decoding
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.store.hub import _is_fetched_name
from taxotext.store.onnx_export import export_onnx
from tiny import make_encoder, overlaid, tiny_corpus, tiny_documents, tiny_fit, tiny_settings, tiny_words

LONG = ["cat dog trout rye " * 20, "loaf purrs the then " * 7]
TEXTS = [*tiny_documents(9, seed=7)[0], *LONG, "a", "rye"]
WORDS = {"embedding_width": 12, "vocabulary": {"min_count": 1}}
PIECES = {"long_text": "chunk_max", "max_tokens": 16}
LSTM = {"name": "recurrent", "units": 6, "cell": "lstm", "learned_start": True, **WORDS}


def few(system: str, /, base: str = "c_hmcnn", **sections: Any) -> Classifier:
    """A system after a few epochs on the tiny corpus; ``base`` has settings of its own in ``tiny``."""
    values = tiny_settings(base, training={"epochs": 4, "patience": 4})
    corpus = tiny_corpus()
    return Classifier(system, **overlaid(values, **sections)).fit(corpus, validation=corpus)


def bert(source: Path, **sections: Any) -> Classifier:
    encoder = {"name": "transformer", "source": str(source), **sections.pop("encoder", {})}
    return few("bert", "bert", encoder=encoder, **sections)


@pytest.fixture(scope="module")
def model(tiny_encoder: Path) -> Classifier:
    """A tuned ``bert`` that reads up to 32 tokens."""
    return bert(tiny_encoder, training={"epochs": 12, "patience": 12})


@pytest.fixture(scope="module")
def exported(model: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of its export; only to be read."""
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    export_onnx(folder, model.system, model.manifest, documents=tiny_corpus())
    return folder


def check_scores(model: Classifier, folder: Path, texts: list[str]) -> Classifier:
    """The folder scores as the model does, whatever stands beside a text in a batch."""
    there = taxotext.load(folder, threads=1)
    wanted = model.predict_proba(texts)
    assert np.ptp(wanted, axis=0).max() > 2e-4, "texts differ, by far more than rounding"
    np.testing.assert_allclose(there.predict_proba(texts), wanted, atol=2e-5)
    alone = np.concatenate([there.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(alone, wanted, atol=2e-5)
    return there


# -- the same scores ---------------------------------------------------------------------------------------------------

OTHERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "textcnn": ("textcnn", "textcnn", {}),
    "xml_cnn": ("xml_cnn", "xml_cnn", {"text": PIECES}),
    "gru_att_multi": ("gru_att_multi", "gru_att_multi", {"text": {**PIECES, "long_text": "chunk_mean"}}),
    "lstm": ("bert", "bert", {"encoder": LSTM, "head": {"name": "label_attention"}, "text": PIECES}),
    "c_hmcnn": ("c_hmcnn", "c_hmcnn", {"text": {"long_text": "head_tail", "max_tokens": 16}}),
    "hiagm": ("hiagm", "c_hmcnn", {"encoder": RCNN, "structure": TREELSTM}),
    "hiagm-gat": ("hiagm", "c_hmcnn", {"structure": {"name": "gat", "width": 8, "heads": 2}, "text": PIECES}),
    "himatch": ("himatch", "c_hmcnn", {"structure": GCN, "matching": {"hidden": 12, "refresh": 4}}),
    "hitin": ("hitin", "c_hmcnn", {"structure": CODING_TREE, "head": LAYERS}),
    "hmcn": ("hmcn", "c_hmcnn", {"head": {"width": 24}}),
    "conditional_softmax": ("conditional_softmax", "c_hmcnn", {}),
    "himtl": ("himtl", "c_hmcnn", {"structure": GCN, "text": PIECES}),
    "himtl-mean": ("himtl", "c_hmcnn", {"structure": GCN, "branches": {"merge": "mean"}}),
}


@pytest.mark.parametrize("key", OTHERS)
def test_systems_over_words_and_over_label_structures_score_as_before(key: str, tmp_path: Path) -> None:
    system, base, sections = OTHERS[key]
    model = few(system, base, **sections)
    export_onnx(tmp_path / "onnx", model.system, model.manifest)
    check_scores(model, tmp_path / "onnx", TEXTS)


@pytest.mark.parametrize(
    "sections",
    [
        {"encoder": {"pooling": "pooler"}},
        {"encoder": {"pooling": "cls", "trainable": False}, "text": {**PIECES, "long_text": "chunk_mean"}},
        {"head": {"name": "label_attention"}, "text": PIECES},
    ],
    ids=["pooler", "frozen-pieces", "attention-pieces"],
)
def test_other_transformers_score_as_before(sections: dict[str, Any], tiny_encoder: Path, tmp_path: Path) -> None:
    model = bert(tiny_encoder, training={"epochs": 12, "patience": 12}, **sections)
    export_onnx(tmp_path / "onnx", model.system, model.manifest)
    check_scores(model, tmp_path / "onnx", TEXTS)


def test_a_folder_answers_as_its_model_in_every_way(model: Classifier, exported: Path, tmp_path: Path) -> None:
    there, corpus = check_scores(model, exported, [*TEXTS, ""]), tiny_corpus()
    assert there.predict([*TEXTS, " "]) == model.predict([*TEXTS, " "])
    for own, other in zip(there.suggest(TEXTS, k=3), model.suggest(TEXTS, k=3), strict=True):
        assert [label for label, _ in own] == [label for label, _ in other]
    ours, theirs = there.evaluate(corpus), model.evaluate(corpus)
    assert ours["micro_f1"] == theirs["micro_f1"]
    assert ours["cut_texts"] == theirs["cut_texts"]
    assert there.decoding == model.decoding
    assert there.manifest.seen == model.manifest.seen
    ours, theirs = (one.explain(["cat trout"], ["cats"])[0] for one in (there, model))
    np.testing.assert_allclose(ours.words.importance, theirs.words.importance, atol=2e-5)
    there.tune(metric="macro_f1")  # on the kept held-out scores
    there.save(tmp_path / "again")
    check_scores(model, tmp_path / "again", TEXTS)
    assert "is the exported network" not in (exported / "README.md").read_text(encoding="utf-8")
    assert "| exported weights | float32 |" in (exported / "README.md").read_text(encoding="utf-8")


def test_a_folder_is_used_without_torch(model: Classifier, exported: Path, tmp_path: Path) -> None:
    rows = [json.dumps({"text": text, "labels": labels}) for text, labels in zip(*tiny_documents(6), strict=True)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    code = f"""
import os, sys
import taxotext
from serving.client import serving
from taxotext.cli import main

model = taxotext.load({str(exported)!r}, threads=1)
print(model.predict({TEXTS!r}))
model.predict_proba({TEXTS!r}), model.suggest({TEXTS!r}), model.explain(["cat"])
with serving({str(exported)!r}) as client:
    assert client.texts("cat").status_code == 200
for command in ("evaluate", "predict"):
    try:
        main([command, {str(exported)!r}, {str(tmp_path / "rows.jsonl")!r}])
    except SystemExit as end:
        assert not end.code
heavy = [name for name in ("torch", "transformers", "lightning", "sklearn", "onnx") if name in sys.modules]
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    places = [str(Path(taxotext.__file__).parents[1]), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(model.predict(TEXTS))


def test_a_server_answers_with_the_labels_of_the_model(model: Classifier, exported: Path) -> None:
    with serving(exported) as client:
        found = client.texts(*TEXTS).json()["results"]
    assert [{one["id"] for one in row["labels"]} for row in found] == [set(labels) for labels in model.predict(TEXTS)]


# -- the certificate ---------------------------------------------------------------------------------------------------


def test_the_certificate_counts_what_differs(model: Classifier, tmp_path: Path) -> None:
    """Label by label and document by document, against int8, where something differs."""
    corpus = Corpus.from_lists(TEXTS, [["cats"]] * len(TEXTS), model.taxonomy, source="mixed lengths")
    notes = export_onnx(tmp_path / "int8", model.system, model.manifest, int8=True, documents=corpus)
    certificate = json.loads((tmp_path / "int8" / "certificate.json").read_text(encoding="utf-8"))
    found, there = certificate["documents"], taxotext.load(tmp_path / "int8")
    gaps = np.abs(there.predict_proba(TEXTS) - model.predict_proba(TEXTS))
    assert gaps.max() > 1e-4, "8 bits are not the same"
    assert found["largest_score_difference"] == pytest.approx(gaps.max(), rel=1e-4)
    assert found["mean_score_difference"] == pytest.approx(gaps.mean(), rel=1e-4)
    sets = [[set(labels) for labels in one.predict(TEXTS)] for one in (model, there)]
    pairs = list(zip(*sets, strict=True))
    assert found["documents"] == len(TEXTS)
    assert found["decisions"] == len(TEXTS) * 7
    assert found["equal_decisions"] == pytest.approx(1 - sum(len(a ^ b) for a, b in pairs) / found["decisions"])
    assert found["equal_label_sets"] == pytest.approx(sum(a == b for a, b in pairs) / len(TEXTS))
    assert found["predicted"]["both"] == sum(len(a & b) for a, b in pairs)
    evaluated = [one.evaluate(corpus)["micro_f1"] for one in (model, there)]
    assert list(found["micro_f1"].values()) == pytest.approx(evaluated)
    assert certificate["random_words"]["documents"] == 48
    assert f"{len(TEXTS)} documents: scores differ by up to" in notes[0]


def test_random_words_have_every_length(exported: Path) -> None:
    certificate = json.loads((exported / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["random_words"]["largest_score_difference"] < 1e-5
    assert certificate["documents"]["equal_decisions"] == certificate["documents"]["equal_label_sets"] == 1


def test_a_graph_that_scores_otherwise_is_not_saved(
    model: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taxotext.nn import onnx_graph

    whole = onnx_graph.ScoresGraph.forward
    monkeypatch.setattr(onnx_graph.ScoresGraph, "forward", lambda self, ids, mask: whole(self, ids, mask) * 0.9)
    with pytest.raises(ConfigError, match="scores of the exported network differ by up to"):
        export_onnx(tmp_path / "onnx", model.system, model.manifest)
    assert not (tmp_path / "onnx").exists()


def test_8_bits_make_a_folder_smaller_and_leave_labels_alike(tiny_encoder: Path, tmp_path: Path) -> None:
    source = make_encoder(tmp_path / "wide", tiny_words(), hidden_size=128, intermediate_size=512)
    model = bert(source, training={"epochs": 8, "patience": 8})
    sizes = {}
    for int8 in (False, True):
        folder = tmp_path / f"int8-{int8}"
        export_onnx(folder, model.system, model.manifest, int8=int8, documents=tiny_corpus())
        sizes[int8] = (folder / "model.onnx").stat().st_size
    assert sizes[True] < 0.35 * sizes[False]
    there = taxotext.load(tmp_path / "int8-True")
    assert there.manifest.held_out is None, "those are scores of the model"
    assert there.manifest.facts["exported_weights"] == "int8"
    certificate = json.loads((tmp_path / "int8-True" / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["documents"]["equal_decisions"] > 0.97


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_what_is_not_one_network_with_all_scores_says_so(sample_model: Path, tmp_path: Path) -> None:
    tiny_fit("kim_cnn").save(tmp_path / "cnn")
    members = (str(tmp_path / "cnn"), str(sample_model))
    corpus = tiny_corpus()
    refused = {
        "linear is not a single network": taxotext.load(sample_model),
        "sgm predicts labels one after the other, with a search": tiny_fit("sgm"),
        "light_attention scores candidates that a search along a label tree finds": tiny_fit("light_attention"),
        "the encoder dgcnn reads graphs of words": tiny_fit("dgcnn"),
        "gru_att is not a single network": tiny_fit("gru_att"),
        "mixed is made of other models": Classifier("mixed", members=(members[0], members[0])).fit(
            corpus, validation=corpus
        ),
    }
    for said, model in refused.items():
        with pytest.raises(ConfigError, match=said):
            export_onnx(tmp_path / "onnx", model.system, model.manifest)
    assert not (tmp_path / "onnx").exists()


def test_an_exported_model_is_neither_trained_nor_moved_to_a_gpu(exported: Path, command: Command) -> None:
    there = taxotext.load(exported)
    with pytest.raises(ConfigError, match="cannot be trained"):
        there.fit(["a", "b"], [["x"], ["y"]])
    with pytest.raises(ConfigError, match=r"runtime\.device: an exported model runs on the processor"):
        taxotext.load(exported, device="cuda")
    with pytest.raises(ConfigError, match=r"runtime\.predict_precision"):
        taxotext.load(exported, predict_precision="bf16")
    with pytest.raises(ConfigError, match="onnx is not a single network"):
        export_onnx(exported.with_name("twice"), there.system, there.manifest)
    assert "onnx" not in command("models", "list").ok().out
    assert "cannot be trained" in command("config", "onnx").err


def test_the_command_exports_and_says_what_came_out(tiny_encoder: Path, command: Command, tmp_path: Path) -> None:
    tiny_fit("kim_cnn").save(tmp_path / "model")
    rows = [json.dumps({"text": text, "labels": labels}) for text, labels in zip(*tiny_documents(20), strict=True)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    said = command("export", "model", "--to", "onnx", "--data", "rows.jsonl", "--output", "exported").ok().err
    assert "20 documents: scores differ by up to" in said
    assert "100.00% of the decisions" in said
    assert "Micro-F1" in said
    lines = [command("predict", folder, "rows.jsonl").ok().lines for folder in ("model", "exported")]
    assert [line["labels"] for line in lines[0]] == [line["labels"] for line in lines[1]]
    command("evaluate", "exported", "rows.jsonl", "--record").ok()
    assert "rows.jsonl" in (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    command("export", "model", "--to", "onnx", "--output", "exported").refused("--overwrite")
    command("export", "model", "--to", "onnx", "--output", "exported", "--overwrite").ok()
    refused = command("export", "model", "--to", "onnx", "--output", "model", "--overwrite")
    refused.refused("model: is not an exported model and is not replaced")
    command("export", "model", "--to", "hf", "--int8", "--output", "x").refused("--int8: goes with --to onnx only")
    command("export", "model", "--to", "onx", "--output", "x").refused("Did you mean 'onnx'?")


def test_an_exported_model_is_a_member_of_a_mixture(tmp_path: Path) -> None:
    corpus = tiny_corpus()
    model = few("kim_cnn", "kim_cnn")
    model.save(tmp_path / "cnn")
    export_onnx(tmp_path / "onnx", model.system, model.manifest)
    members = (str(tmp_path / "cnn"), str(tmp_path / "onnx"))
    Classifier("mixed", members=members).fit(corpus, validation=corpus).save(tmp_path / "mixed")
    found = taxotext.load(tmp_path / "mixed").predict_proba(TEXTS)
    np.testing.assert_allclose(found, model.predict_proba(TEXTS), atol=2e-5)


def test_a_missing_package_is_named(exported: Path, model: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(taxotext.TaxotextError, match=r"pip install 'taxotext\[onnx\]'"):
        taxotext.load(exported)
    with pytest.raises(taxotext.TaxotextError, match=r"needs onnxruntime; install it with"):
        export_onnx(exported.with_name("new"), model.system, model.manifest)


def test_the_hub_takes_graphs() -> None:
    assert _is_fetched_name("model.onnx")
    assert _is_fetched_name("members/0/model.onnx")
    assert not _is_fetched_name("model.onnx.data")


def test_rules_of_decoding_go_along(model: Classifier, tmp_path: Path) -> None:
    model.decoding, before = Decoding(consistency="up", threshold=0.2, exclude=("rye",)), model.decoding
    try:
        export_onnx(tmp_path / "onnx", model.system, model.manifest)
        assert taxotext.load(tmp_path / "onnx").predict(TEXTS) == model.predict(TEXTS)
    finally:
        model.decoding = before


def test_a_folder_that_changed_under_a_loaded_model_is_not_copied(
    model: Classifier, exported: Path, tmp_path: Path
) -> None:
    taxotext.load(exported).save(tmp_path / "copy")
    there = taxotext.load(tmp_path / "copy")
    graph = tmp_path / "copy" / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\x00")
    with pytest.raises(ModelFolderError, match="has changed since it was loaded"):
        there.save(tmp_path / "third")
    graph.unlink()
    with pytest.raises(ModelFolderError, match="is not there any more"):
        there.save(tmp_path / "third")
