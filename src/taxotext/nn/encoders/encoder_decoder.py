"""Pretrained transformers with an encoder and a decoder, such as T5 and BART."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from taxotext.data.tokens import TextTokenizer
from taxotext.errors import ConfigError
from taxotext.nn.encoders.pretrained import (
    LOADING_ERRORS,
    BuiltEncoder,
    describing,
    facts_of,
    known_config,
    load_tokenizer,
    not_loaded,
    position_limit,
    resolve,
    weights_hash,
)
from taxotext.nn.features import TextFeatures
from taxotext.nn.pooling import masked_mean

KINDS = ("bart", "longt5", "mbart", "mt5", "pegasus", "t5", "umt5")
"""Model types that are taken, and that a model folder may name."""
SCALED = {"t5", "mt5", "umt5", "longt5"}
"""Families that multiply the states of the decoder by width^-0.5 where input and output embeddings are one matrix."""


class EncoderDecoder(nn.Module):
    """Reads texts by its encoder; its decoder is used by the head.

    Args:
        model: a ``transformers`` model for sequence-to-sequence language modelling.

    Attributes:
        decoder: (inputs_embeds, encoder_hidden_states, encoder_attention_mask) -> states.
        scale: what its states are multiplied by before the output layer.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        config = model.config
        self.model, self.decoder = model.get_encoder(), model.get_decoder()
        self.width: int = config.hidden_size
        self.token_width: int = self.width
        tied = config.model_type in SCALED and config.tie_word_embeddings
        self.scale = self.width**-0.5 if getattr(config, "scale_decoder_outputs", tied) else 1.0
        # Words are read by the encoder alone; the decoder reads labels.
        self.decoder.set_input_embeddings(nn.Identity())
        start = getattr(config, "decoder_start_token_id", None)  # of T5 the padding, where it is not named
        self.begin_id: int = start if start is not None else config.pad_token_id
        self.end_id: int = config.eos_token_id
        self._output_rows: Tensor | None = model.get_output_embeddings().weight.detach()

    def forward(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """(W, T) token ids and mask -> features."""
        tokens = self.model(input_ids=ids, attention_mask=mask.to(ids.dtype)).last_hidden_state  # (W, T, D)
        return TextFeatures(tokens, mask, masked_mean(tokens, mask))

    @torch.no_grad()
    def take_rows(self, pieces: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Mean input and output embeddings of M lists of word pieces, (M, D) each; the mean of all for an empty list.

        The output embeddings are needed once only: they are forgotten.
        """
        if self._output_rows is None:
            raise RuntimeError("the output embeddings were taken already")
        every = torch.arange(len(self._output_rows), device=self._output_rows.device)
        given, shown = self.model.get_input_embeddings()(every), self._output_rows
        self._output_rows = None
        chosen = [torch.tensor(row) if row else every for row in pieces]
        return tuple(torch.stack([table[row].mean(0) for row in chosen]) for table in (given, shown))  # type: ignore[return-value]


def load_encoder_decoder(source: str) -> BuiltEncoder:
    """Load a pretrained encoder-decoder by hub name or folder; code that comes with it is never run.

    Raises:
        ConfigError: when it cannot be found or loaded, or is none, with what to do.
    """
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    place, recorded = resolve(source)
    try:
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
    except LOADING_ERRORS as error:
        raise not_loaded(source, error) from error
    if not getattr(config, "is_encoder_decoder", False):
        raise ConfigError(
            f"encoder.source: {source!r} has no decoder; choose an encoder-decoder such as T5 or BART, or another "
            "system such as bert_sgm."
        )
    if config.model_type not in KINDS:
        raise ConfigError(
            f"encoder.source: {source!r} is a model of type {config.model_type!r}; choose one of {', '.join(KINDS)}."
        )
    tokenizer = load_tokenizer(source)
    try:
        model = AutoModelForSeq2SeqLM.from_pretrained(
            place, trust_remote_code=False, use_safetensors=True, dtype="float32"
        )
    except LOADING_ERRORS as error:
        raise not_loaded(source, error) from error
    values = model.config.to_diff_dict()
    values.pop("auto_map", None)
    record = {
        "config": values,
        "model_type": model.config.model_type,
        "source": recorded,
        "sha256": weights_hash(model),
    }
    return BuiltEncoder(EncoderDecoder(model), tokenizer, position_limit(model.config), record, facts=facts_of(record))


def restore_encoder_decoder(record: dict[str, Any], tokenizer: TextTokenizer) -> BuiltEncoder:
    """Build the module that ``record`` describes, without weights: the model folder holds those.

    Raises:
        ModelFolderError: when the record does not describe an encoder-decoder of the installed library.
    """
    from transformers import AutoModelForSeq2SeqLM

    with describing("encoder-decoder"):
        config = known_config(record, KINDS, "encoder-decoder")
        with torch.random.fork_rng(devices=[]):  # the random weights are replaced: the caller's seed stays as it is
            model = AutoModelForSeq2SeqLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
            module = EncoderDecoder(model)
        return BuiltEncoder(module.float(), tokenizer, position_limit(config), record, facts=facts_of(record))
