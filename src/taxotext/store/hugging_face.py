"""Export to a folder that Hugging Face's ``pipeline("text-classification")`` loads, with the scores of the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from taxotext import __version__
from taxotext.composition.base import System
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.parts import TransformerSettings
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.files import check_target, named, real, replacing_folder
from taxotext.files.json_files import json_text, read_json_or_none
from taxotext.store.manifest import Manifest

CODE = "modeling_taxotext"
"""Module of the folder that holds its model; transformers runs it when it is told ``trust_remote_code=True``."""
LIMITS = "The folder gives the probabilities of the network."


def export_hugging_face(folder: Path, system: System, manifest: Manifest, *, overwrite: bool = False) -> list[str]:
    """Write the folder; return what it does not do, as sentences.

    The scores are those of the network: calibration, consistency and thresholds of the model stay behind. Texts are cut
    as in training when the pipeline is called with ``truncation=True``.

    Args:
        folder: to write.
        system: fitted.
        manifest: of the model.
        overwrite: replace an earlier export.

    Raises:
        ConfigError: the system is more than a transformer with a linear layer, or reads long texts in pieces.
        ModelFolderError: the folder exists (without ``overwrite``), is not an export, or cannot be written.
    """
    network = _exportable(system)
    place = real(folder) if folder.is_symlink() else named(folder)
    _check_free(place, folder, overwrite)
    try:
        with replacing_folder(place) as temporary:
            _write(temporary, network)
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror or error}).") from error
    decoding = manifest.decoding
    notes = []
    if decoding.calibration != "none" or decoding.consistency != "none":
        notes.append(
            f"{LIMITS} The model's calibration ({decoding.calibration}) and consistency ({decoding.consistency}) are "
            "not part of it."
        )
    notes.append("Thresholds are not part of the folder; compare the scores with your own.")
    return notes


def _exportable(system: System) -> NeuralSystem:
    reason = None
    if not isinstance(system, NeuralSystem) or not isinstance(system.settings.encoder, TransformerSettings):
        reason = f"{system.name} is not a pretrained transformer"
    elif system.settings.structure.name != "none" or system.settings.head.name != "linear":
        reason = f"{system.name} has more than a linear layer over its encoder"
    elif system.settings.encoder.name != "transformer":
        reason = f"the encoder {system.settings.encoder.name} is not a plain transformer"
    elif system.settings.text.long_text != "truncate":
        reason = f"text.long_text is {system.settings.text.long_text}, and a pipeline cuts texts"
    else:
        return system
    raise ConfigError(f"This model cannot be exported to Hugging Face: {reason}. `taxotext serve` serves every model.")


def _check_free(place: Path, folder: Path, overwrite: bool) -> None:
    check_target(folder, "folder", ModelFolderError)
    if not place.is_dir() or not any(place.iterdir()):
        return
    if not overwrite:
        raise ModelFolderError(f"{folder}: already exists. Choose another folder, or replace it with --overwrite.")
    if (read_json_or_none(place / "config.json") or {}).get("model_type") != "taxotext":
        raise ModelFolderError(f"{folder}: is not an exported model and is not replaced; choose another folder.")


def _write(folder: Path, system: NeuralSystem) -> None:
    from safetensors.torch import save_file
    from transformers import PreTrainedTokenizerFast

    encoder: Any = system.built.module
    head: Any = system.network.head
    tensors = {f"encoder.{name}": value for name, value in encoder.model.state_dict().items()}
    tensors |= {f"classifier.{name}": value for name, value in head.output.state_dict().items()}
    save_file(
        {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    taxonomy = system.taxonomy
    config = {
        "architectures": ["TaxotextForSequenceClassification"],
        "auto_map": {
            "AutoConfig": f"{CODE}.TaxotextConfig",
            "AutoModelForSequenceClassification": f"{CODE}.TaxotextForSequenceClassification",
        },
        "model_type": "taxotext",
        "taxotext_version": __version__,
        "encoder": {"model_type": encoder.model.config.model_type, **encoder.model.config.to_diff_dict()},
        "pooling": encoder.pooling,
        "half_states": not encoder.trainable,
        "problem_type": "multi_label_classification",
        "id2label": {str(number): label for number, label in enumerate(taxonomy.ids)},
        "label2id": {label: number for number, label in enumerate(taxonomy.ids)},
    }
    (folder / "config.json").write_text(json_text(config), encoding="utf-8")
    code = Path(__file__).with_name(f"{CODE}.py").read_text(encoding="utf-8")
    (folder / f"{CODE}.py").write_text(code, encoding="utf-8")
    system.tokenizer.save(folder / "tokenizer.json")
    padding = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["padding"]
    tokenizer: Any = PreTrainedTokenizerFast
    tokenizer(
        tokenizer_file=str(folder / "tokenizer.json"),
        pad_token=padding["pad_token"],
        model_max_length=system.settings.text.max_tokens,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
