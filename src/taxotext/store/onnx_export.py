"""Export to a model folder that ONNX Runtime computes, without torch, with a certificate of how nearly it agrees."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxotext.binary.systems import BinarySystem
from taxotext.composition.base import System
from taxotext.composition.neural import NeuralSystem
from taxotext.decoding import Decoder
from taxotext.errors import ConfigError, MissingExtraError, ModelFolderError
from taxotext.files.json_files import read_json_or_none
from taxotext.messages import quiet
from taxotext.models.onnx import GRAPH, Onnx, OnnxSettings, keep_from_reporting
from taxotext.progress import Reporter, Silent
from taxotext.store.certificate import compare, random_texts
from taxotext.store.folder import check_free, save_folder
from taxotext.store.manifest import Manifest

if TYPE_CHECKING:
    from taxotext.data import Corpus

TOLERANCE = 1e-3
"""Largest difference of a score of a float32 export: rounding is 1e-6, that of frozen encoders in 16 bits 1e-4."""
QUANTISED = ("MatMul", "Gather")
"""Operators whose weights become 8-bit integers: linear layers and tables of embeddings. Convolutions in integers are
slower than in float32 on a CPU, and recurrent ones lose too much."""
SMALLEST_SHARE = 0.995
"""Share of equal decisions below which the export says so."""


def export_onnx(
    folder: Path,
    system: System,
    manifest: Manifest,
    *,
    int8: bool = False,
    documents: Corpus | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> list[str]:
    """Write a model folder of the system ``onnx``; return what is worth knowing about it, as sentences.

    Args:
        folder: to write.
        system: fitted, on the CPU.
        manifest: of the model.
        int8: weights of linear layers and embeddings in 8 bits; what they are multiplied with is quantised on the way.
        documents: labelled, on which the export is compared with the model; None: on random words only.
        overwrite: replace an earlier export.
        reporter: where progress goes.

    Raises:
        ConfigError: the system cannot be exported, or its graph does not give the scores of the model.
        MissingExtraError: a package is not installed.
        ModelFolderError: the folder exists (without ``overwrite``), is not an export, or cannot be written.
    """
    network = exportable(system)
    check_free(folder, overwrite=overwrite)
    _check_export(folder)
    _check_installed()
    reporter, settings = reporter or Silent(), network.settings
    own = OnnxSettings(
        seed=settings.seed,
        validation=settings.validation,
        decoding=settings.decoding,
        runtime=settings.runtime.model_copy(update={"device": "cpu", "predict_precision": "float32"}),
        text=settings.text,
    )
    with tempfile.TemporaryDirectory(prefix="taxotext-") as place:
        graph = Path(place) / GRAPH
        reporter.note("Tracing the network.")
        record = {"system": system.name, "weights": "int8" if int8 else "float32", **_write_graph(network, graph)}
        if int8:
            reporter.note("Quantising the weights.")
            graph = _quantised(graph)
        exported = Onnx.of(graph, network.tokenizer, own, system.taxonomy, record)
        reporter.note("Comparing the scores with those of the model.")
        exported.certificate = _certificate(network, exported, manifest, documents)
        found = exported.certificate["random_words"]["largest_score_difference"]
        if not int8 and found > TOLERANCE:
            raise ConfigError(
                f"This model cannot be exported to ONNX: scores of the exported network differ by up to {found:.2g} "
                "from those of the model."
            )
        own_facts = {f"exported_{key}": value for key, value in exported.facts().items() if key != "parameters"}
        facts = {**manifest.facts, **own_facts}
        metrics = {name: value for name, value in manifest.metrics.items() if name != "evaluations"}
        held_out = None if int8 else manifest.held_out  # scores of the model, which thresholds are tuned on
        save_folder(
            folder,
            exported,
            replace(manifest, facts=facts, metrics=metrics, held_out=held_out),
            overwrite=overwrite,
        )
    return list(_notes(exported.certificate))


def exportable(system: System) -> NeuralSystem:
    """The system, if its network gives scores of all labels without searching.

    Raises:
        ConfigError: it does not.
    """
    reason = None
    if system.members:
        reason = f"{system.name} is made of other models; export those"
    elif isinstance(system, BinarySystem) or not isinstance(system, NeuralSystem):
        reason = f"{system.name} is not a single network that scores all labels"
    elif system.decides(system.settings):
        reason = f"{system.name} predicts labels one after the other, with a search that is no part of the network"
    elif system.settings.head.name == "label_tree" or system.settings.head.level_wise:
        reason = f"{system.name} scores candidates that a search along a label tree finds"
    elif system.built.arrange is not None:
        reason = f"the encoder {system.settings.encoder.name} reads graphs of words, whose sizes differ"
    else:
        return system
    raise ConfigError(f"This model cannot be exported to ONNX: {reason}. `taxotext serve` serves every model.")


def _check_export(folder: Path) -> None:
    """Refuse to replace a model that was trained: the one that is exported, say."""
    found = read_json_or_none(folder / "config.json")
    if found is not None and found.get("model") != Onnx.name:
        raise ModelFolderError(f"{folder}: is not an exported model and is not replaced; choose another folder.")


def _check_installed() -> None:
    keep_from_reporting()
    try:
        for name in ("onnx", "onnxruntime", "onnxscript"):
            import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The export to ONNX needs {error.name}; install it with `pip install 'taxotext[onnx]'`."
        ) from None


def _write_graph(system: NeuralSystem, graph: Path) -> dict[str, Any]:
    from torch import nn

    from taxotext.nn.onnx_graph import OPSET, write_graph

    text = system.settings.text
    pieces = text.long_text.startswith("chunk")
    try:
        write_graph(system.network, graph, max_tokens=text.max_tokens, several_windows=pieces)
    except ConfigError as error:
        raise ConfigError(f"This model cannot be exported to ONNX: {error.message}.") from error
    tables = (part for part in system.network.encoder.modules() if isinstance(part, nn.Embedding))
    rows = max((table.num_embeddings for table in tables), default=len(system.tokenizer))
    libraries = {name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")}
    parameters = sum(parameter.numel() for parameter in system.network.parameters())
    return {"parameters": parameters, "opset": OPSET, "token_ids": rows, "libraries": libraries}


def _quantised(graph: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = graph.with_name("int8.onnx")
    with quiet("root"):  # ONNX Runtime warns there that a graph was not prepared, which changes nothing here
        quantize_dynamic(
            graph, target, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=list(QUANTISED)
        )
    return target


def _certificate(model: NeuralSystem, exported: Onnx, manifest: Manifest, documents: Corpus | None) -> dict[str, Any]:
    decoder, text = Decoder(manifest.decoding, model.taxonomy), model.settings.text
    longest = text.max_tokens * (text.max_chunks if text.long_text.startswith("chunk") else 1)
    words = random_texts(model.tokenizer, longest)
    found = {"random_words": compare(model, exported, decoder, words)}
    if documents is not None:
        of_documents = compare(model, exported, decoder, documents.texts, documents.targets)
        found["documents"] = {"source": documents.source, "fingerprint": documents.fingerprint(), **of_documents}
    return found


def _notes(certificate: dict[str, Any]) -> Iterator[str]:
    """What a user should know of the certificate."""
    for name, what in (("documents", "documents"), ("random_words", "texts of random words")):
        if name in certificate:
            found = certificate[name]
            yield (
                f"{found['documents']:,} {what}: scores differ by up to {found['largest_score_difference']:.2g}; "
                f"{found['equal_decisions']:.2%} of the decisions and {found['equal_label_sets']:.2%} of the label "
                "sets are those of the model."
            )
            break
    if "micro_f1" in found:
        yield f"Micro-F1 {found['micro_f1']['exported']:.4f}, of the model {found['micro_f1']['model']:.4f}."
    if name == "random_words":
        yield "Name labelled documents with --data to compare both on texts of yours."
    elif found["equal_decisions"] < SMALLEST_SHARE:
        yield f"Fewer than {SMALLEST_SHARE:.1%} of the decisions are equal; consider the export without --int8."
