"""What is damaged: sound model folders, interrupted runs, corpora, taxonomies and settings, all of them tiny.

::

    python tests/torture/material.py FOLDER     writes all of it
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

WORDS: dict[str, Any] = {"embedding_width": 8, "vocabulary": {"min_count": 1}}
ONE_EPOCH: dict[str, Any] = {"epochs": 1, "batch_size": 12}
KIM_CNN = {"name": "kim_cnn", "filters": 4, **WORDS}
RECURRENT = {"name": "recurrent", "units": 8, **WORDS}
FITS: dict[str, Any] = {
    "encoder": {**WORDS, "units": 4},
    "weights": {"candidates": [1, 3], "rungs": [1], "factor": 2},
    "training": ONE_EPOCH,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("linear", {}),
    "kim_cnn": ("kim_cnn", {"encoder": {**WORDS, "filters": 4}}),
    "bert": ("bert", {"encoder": {"source": "ENCODER"}}),
    "gru_att_multi": ("gru_att_multi", {"encoder": {**WORDS, "units": 4}}),
    "textcnn": ("textcnn", {"encoder": {**WORDS, "filters": 4, "kernel": 3, "hidden": 4}}),
    "hiagm": ("hiagm", {"encoder": {**WORDS, "units": 4}}),
    "sgm": ("sgm", {"encoder": {**WORDS, "units": 8}, "head": {"beams": 2}}),
    "hilap": ("hilap", {"encoder": KIM_CNN}),
    "himtl": ("himtl", {"encoder": KIM_CNN, "structure": {"name": "gcn", "width": 8}}),
    "hitin": ("hitin", {"encoder": KIM_CNN, "structure": {"name": "coding_tree", "width": 8}}),
    "dgcnn": ("dgcnn", {"encoder": {**WORDS, "layers": 1, "vertices": 16, "neighbours": 4, "hidden": [8, 8]}}),
    "t5": ("t5", {"encoder": {"source": "SEQUENCES"}, "head": {"beams": 2}}),
    "light_attention": ("light_attention", {"encoder": RECURRENT, "head": {"beam": 2, "hidden": [8]}}),
    "attention_xml": (
        "attention_xml",
        {
            "encoder": RECURRENT,
            "head": {"name": "label_levels", "hidden": [8], "beam": 2, "tree": {"cluster_size": 2, "levels": 2}},
        },
    ),
    "gru_att": ("gru_att", FITS),
    "htrans": ("htrans", FITS),
    "lexical": ("lexical", {}),
    "label_tree_linear": ("label_tree_linear", {}),
    "mixed": ("mixed", {"members": []}),
}
EXPORTED = "kim_cnn"
"""The system of which there is an ONNX export as well."""
INTERRUPTED = ("kim_cnn", "gru_att", "sgm", "attention_xml")
"""Systems of which there are trainings that were interrupted."""


@dataclass
class Material:
    """Sound folders and files by kind."""

    place: Path
    models: dict[str, Path] = field(default_factory=dict)
    runs: dict[str, tuple[Path, list[str]]] = field(default_factory=dict)
    corpora: list[Path] = field(default_factory=list)
    taxonomies: list[Path] = field(default_factory=list)
    configs: list[Path] = field(default_factory=list)
    experiment: Path | None = None
    search: tuple[Path, list[str]] | None = None
    shards: tuple[Path, list[str]] | None = None

    @property
    def train(self) -> Path:
        """Training documents."""
        return self.place / "train.jsonl"

    @property
    def test(self) -> Path:
        """Other documents with labels."""
        return self.place / "test.jsonl"

    @property
    def taxonomy(self) -> Path:
        """Edges of the labels."""
        return self.place / "taxonomy.tsv"


def make(place: Path, models: Sequence[str] = tuple(MODELS), *, small: bool = False) -> Material:
    """Write everything into ``place``; takes a minute or two for all models, a few seconds for a ``small`` choice.

    What a small choice has is written by hand or in this process, and it has no interrupted runs.
    """
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from tiny import EDGES, make_encoder, make_encoder_decoder, tiny_documents, tiny_words

    place.mkdir(parents=True, exist_ok=True)
    made = Material(place)
    if not (place / "ENCODER").exists():
        make_encoder(place / "ENCODER", tiny_words())
    if not (place / "SEQUENCES").exists() and "t5" in models:
        make_encoder_decoder(place / "SEQUENCES", "t5")
    for name, count, seed in (("train", 60, 5), ("test", 12, 6)):
        texts, labels = tiny_documents(count, seed)
        lines = [
            json.dumps({"id": str(at), "text": text, "labels": found})
            for at, (text, found) in enumerate(zip(texts, labels, strict=True))
        ]
        (place / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    made.taxonomy.write_text("".join(f"{parent or 'Root'}\t{child}\n" for parent, child in EDGES), encoding="utf-8")
    for name in models:
        made.models[name] = _model(made, name)
    _corpora(made, small)
    _taxonomies(made, small)
    _configs(made, small)
    if not small:
        made.models["onnx"] = _exported(made)
        made.runs = _runs(made)
        made.experiment = _experiment(place / "experiment")
        made.search = _search(made, place / "search")
        made.shards = _shards(made, place / "shards")
    return made


def _model(made: Material, name: str) -> Path:
    from taxotext import Classifier, read_corpus, read_taxonomy

    folder = made.place / "models" / name
    if folder.exists():
        return folder
    taxonomy = read_taxonomy(made.taxonomy)
    train, test = (read_corpus(path, taxonomy=taxonomy) for path in (made.train, made.test))
    Classifier(MODELS[name][0], **_settings(made, name)).fit(train, validation=test).save(folder)
    return folder


def _settings(made: Material, name: str) -> dict[str, Any]:
    system, given = MODELS[name]
    settings = {"runtime": {"device": "cpu", "precision": "float32", "threads": 1}, **given}
    if "encoder" in given and "training" not in given:
        settings |= {"training": ONE_EPOCH, "text": {"max_tokens": 32}}
    if system in {"bert", "t5"}:
        settings["encoder"] = {"source": str(made.place / given["encoder"]["source"])}
    if system == "mixed":
        settings["members"] = [str(made.models[member]) for member in ("linear", "kim_cnn")]
    return settings


def _corpora(made: Material, small: bool) -> None:
    from taxotext.data import read_corpus, write_corpus

    place = made.place / "corpora"
    place.mkdir(exist_ok=True)
    corpus, names = read_corpus(made.train), ("jsonl", "csv", "tsv", "jsonl.gz", "csv.gz")
    for name in names if small else (*names, "parquet", "libmultilabel"):
        target = place / f"{name.replace('.', '-')}.{name}"
        if not target.exists():
            write_corpus(corpus, target, format=name)
        made.corpora.append(target)


def _taxonomies(made: Material, small: bool) -> None:
    from taxotext.labels import read_taxonomy, write_taxonomy

    place = made.place / "taxonomies"
    place.mkdir(exist_ok=True)
    taxonomy = read_taxonomy(made.taxonomy)
    names = ("edges.tsv", "nested.json", "nested.yaml")
    for name in names if small else (*names, "skos.ttl", "skos.rdf", "skos.jsonld"):
        target = place / name
        if not target.exists() and name.startswith("skos"):
            _skos(target)
        elif not target.exists():
            write_taxonomy(taxonomy, target)
        made.taxonomies.append(target)


def _skos(target: Path) -> None:
    from rdflib import Graph, Literal, URIRef
    from rdflib.namespace import RDF, SKOS

    from tiny import EDGES

    graph = Graph()
    for parent, child in EDGES:
        concept = URIRef(f"http://example.org/{child}")
        graph.add((concept, RDF.type, SKOS.Concept))
        graph.add((concept, SKOS.prefLabel, Literal(child, lang="en")))
        if parent:
            graph.add((concept, SKOS.broader, URIRef(f"http://example.org/{parent}")))
    graph.serialize(target, format={".ttl": "turtle", ".rdf": "xml", ".jsonld": "json-ld"}[target.suffix])


def _configs(made: Material, small: bool) -> None:
    from taxotext.models.registry import entries, find
    from taxotext.settings import commented_yaml

    place = made.place / "configs"
    place.mkdir(exist_ok=True)
    for name in ("linear", "kim_cnn", "hiagm") if small else [name for name in entries() if name != "t5"]:
        target = place / f"{name}.yaml"
        if not target.exists():
            text = f"model: {name}\n{commented_yaml(find(name).Settings())}"
            target.write_text(text.replace("source: default", f"source: {made.place / 'ENCODER'}"), encoding="utf-8")
        made.configs.append(target)


def _exported(made: Material) -> Path:
    from taxotext import load
    from taxotext.store.onnx_export import export_onnx

    folder = made.place / "models" / "onnx"
    if not folder.exists():
        model = load(made.models[EXPORTED], device="cpu")
        export_onnx(folder, model.system, model.manifest)
    return folder


def _runs(made: Material) -> dict[str, tuple[Path, list[str]]]:
    """Trainings that were interrupted, side by side: places with run folders, and the arguments of ``train``."""
    started = {name: _start(made, name) for name in INTERRUPTED}
    until = time.monotonic() + 240
    waiting = {name: process for name, (_, _, process) in started.items() if process is not None}
    while waiting and time.monotonic() < until:
        for name, process in list(waiting.items()):
            if process.poll() is not None or _has_states(started[name][0]):
                process.send_signal(signal.SIGTERM)
                process.communicate()
                del waiting[name]
        time.sleep(0.02)
    for process in waiting.values():
        process.kill()
    return {name: (place, arguments) for name, (place, arguments, _) in started.items()}


def _start(made: Material, name: str) -> tuple[Path, list[str], subprocess.Popen[bytes] | None]:
    import yaml

    place = made.place / "runs" / name
    config = made.place / f"run-{name}.yaml"
    settings = _settings(made, name)
    settings["training"] = {**settings.get("training", {}), "epochs": 25, "checkpoint_minutes": 0}
    settings["training"] |= {"patience": 25} if name != "gru_att" else {}
    arguments = [str(config), f"--train={made.train}", f"--validation={made.test}", f"--taxonomy={made.taxonomy}"]
    if place.exists():
        return place, arguments, None
    config.write_text(yaml.safe_dump({"model": name, **settings}), encoding="utf-8")
    call = command(["train", *arguments, f"--output={place / 'model'}"])
    return place, arguments, subprocess.Popen(call, env=environment(), stderr=subprocess.PIPE)


def _experiment(place: Path) -> Path:
    """A finished experiment of four cells."""
    from lab import Lab

    place.mkdir(exist_ok=True)
    if not (place / "out").exists():
        Lab(place).compute(place / "out")
    return place / "out"


def _search(made: Material, place: Path) -> tuple[Path, list[str]]:
    """A search of two trials, and the arguments that go on with it."""
    arguments = ["search", "--model=linear", f"--train={made.train}", f"--validation={made.test}"]
    if not place.exists():
        subprocess.run(command([*arguments, f"--output={place}", "--trials=2"]), env=environment(), check=True)
    return place, arguments


def _shards(made: Material, place: Path) -> tuple[Path, list[str]]:
    """The folder of a prediction in two shards, and the arguments of ``predict``."""
    arguments = ["predict", str(made.models["linear"]), str(made.train), "--shards=2", "--jobs=1", "--threads=1"]
    if not place.exists():
        subprocess.run(command([*arguments, f"--output={place}"]), env=environment(), check=True)
    return place, arguments


def _has_states(place: Path) -> bool:
    return any(
        path.suffix in {".ckpt", ".safetensors"} and path.name[0] != "." for path in place.rglob("model.run/*/**/*")
    )


def command(arguments: list[str]) -> list[str]:
    """The command line in a process of its own."""
    return [sys.executable, "-m", "taxotext", *arguments]


def environment() -> dict[str, str]:
    """With this tree's sources, and without a network."""
    paths = [str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


if __name__ == "__main__":
    make(Path(sys.argv[1]))
