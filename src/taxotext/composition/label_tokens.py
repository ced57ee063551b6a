"""Parts of pretrained encoder-decoders: the encoder, and the head whose decoder writes labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from taxotext.composition.label_texts import names_of_labels
from taxotext.composition.named_files import NamesFile
from taxotext.composition.parts import LabelContext, Record, register
from taxotext.composition.sequences import LabelSequenceSettings, head_over
from taxotext.errors import ConfigError
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from taxotext.data.tokens import TextTokenizer
    from taxotext.nn.encoders.pretrained import BuiltEncoder


class EncoderDecoderSettings(Settings):
    """Any Hugging Face encoder-decoder."""

    name: Literal["encoder_decoder"] = Field("encoder_decoder", description="kind of encoder")
    source: Annotated[str, NamesFile()] = Field(
        "google-t5/t5-small", min_length=1, description="hub name or folder of an encoder-decoder, such as T5 or BART"
    )


class LabelTokensHeadSettings(LabelSequenceSettings):
    """Labels one after the other, from the decoder of the encoder-decoder that reads the text."""

    name: Literal["label_tokens"] = Field("label_tokens", description="kind of head")


def _build_encoder(
    settings: EncoderDecoderSettings,
    *,
    texts: Sequence[str] = (),
    record: dict[str, Any] | None = None,
    tokenizer: TextTokenizer | None = None,
) -> BuiltEncoder:
    from taxotext.nn.encoders.encoder_decoder import load_encoder_decoder, restore_encoder_decoder

    if record is None or tokenizer is None:
        return load_encoder_decoder(settings.source)
    return restore_encoder_decoder(record, tokenizer)


def _build_head(settings: LabelTokensHeadSettings, context: LabelContext) -> tuple[nn.Module, Record]:
    from taxotext.nn.encoders.encoder_decoder import EncoderDecoder
    from taxotext.nn.sequence.pretrained import LabelTokens

    model, labels = context.encoder, len(context.taxonomy)
    if not isinstance(model, EncoderDecoder):
        raise ConfigError(
            "head.name: label_tokens needs a decoder; set encoder.name=encoder_decoder, or take head.name=sequence."
        )
    rows = None
    if context.train is not None:
        pieces = context.tokenizer.encode(names_of_labels(context.taxonomy))
        names = [pieces[label].tolist() for label in range(labels)]
        given, shown = model.take_rows([*names, [model.end_id], [model.begin_id]])
        rows = given, shown[: labels + 1]
    return head_over(LabelTokens(labels, model, rows), settings, context)


register("encoder", EncoderDecoderSettings, _build_encoder)
register("head", LabelTokensHeadSettings, _build_head)
