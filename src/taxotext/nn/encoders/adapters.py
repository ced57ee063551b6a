"""Low-rank adapters (Hu et al. 2022, "LoRA") in a frozen transformer, by the library peft."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from taxotext.errors import MissingExtraError
from taxotext.nn.encoders.transformer import TransformerEncoder

BASE, ADAPTER = ".base_layer.", ".lora_"
"""What peft puts into the names of weights that are adapted, and of those of adapters."""


def check_installed() -> None:
    """Raise MissingExtraError where peft is not there."""
    try:
        import peft  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError(
            "Low-rank adapters (body.name=lora) need peft; install it with `pip install 'taxotext[peft]'`."
        ) from None


def add_adapters(
    encoder: TransformerEncoder, rank: int, scale: float, dropout: float, modules: Sequence[str] | None
) -> frozenset[str]:
    """Put adapters into an encoder, W x becomes W x + (scale / rank) B A x, and freeze all else.

    B starts at 0, so that the encoder answers as before; A is random.

    Args:
        encoder: changed in place.
        rank: of A and B.
        scale: the paper's alpha.
        dropout: on x before A, in training.
        modules: endings of the names of linear layers that are adapted; None: those that peft knows for the kind of
            encoder (query and value, mostly).

    Returns:
        Names of the state of ``encoder`` that are not part of adapters.

    Raises:
        MissingExtraError: peft is not there.
        ValueError: no layer has one of these names, or peft does not know the kind of encoder.
    """
    check_installed()
    from peft import LoraConfig, inject_adapter_in_model

    wanted = None if modules is None else list(modules)
    config = LoraConfig(r=rank, lora_alpha=scale, lora_dropout=dropout, target_modules=wanted)  # type: ignore[arg-type]  # alpha is a factor only
    inject_adapter_in_model(config, encoder.model)
    return frozenset(name for name in encoder.state_dict() if ADAPTER not in name)


def base_state(encoder: nn.Module) -> dict[str, Tensor]:
    """State of an encoder under the names that it has without adapters, theirs left out."""
    return {name.replace(BASE, "."): values for name, values in encoder.state_dict().items() if ADAPTER not in name}
