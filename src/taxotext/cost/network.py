"""What a composed system holds in memory while it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxotext.cost.memory import Need

if TYPE_CHECKING:
    from taxotext.data import Corpus

SAMPLED = 500
"""Texts whose tokens are counted."""


def needs(system: Any, train: Corpus, validation: Corpus | None, network: Any, *, together: int) -> list[Need]:
    """The large things of a training; without a network (None) those that do not depend on it.

    Weights, gradients and the two moments of AdamW: 16 bytes a parameter. Activations of a transformer, for L layers of
    width h with a heads, B windows of T tokens: BThL (34 + 5 a T / h) in 16 bits, twice that in 32 bits (Korthikanti et
    al. 2022, "Reducing Activation Recomputation in Large Transformer Models", eq. 2). What a structure encoder keeps
    is measured on a few windows (:func:`structure_activations`).
    """
    settings, labels = system.settings, len(system.taxonomy)
    training = settings.training
    batch = f"training.batch_size (now {training.batch_size}) and raise training.accumulate in return"
    on_device = _on_device(settings)
    scored = settings.head.scored(labels)
    batch_scores = 4 * training.batch_size * scored
    found = [
        Need(
            f"scores and targets of a batch of {training.batch_size} documents for {scored:,} labels",
            5 * batch_scores,
            f"lower {batch}",
            "training",
            on_device,
        )
    ]
    if validation is not None:
        block = min(len(validation), together)
        found.append(
            Need(
                f"scores of {block:,} validation documents at a time for {scored:,} labels",
                4 * scored * block,
                f"give fewer than {block:,} validation documents (data.validation, validation.fraction)",
                "scoring",
            )
        )
    if network is None:
        return found
    parameters = sum(parameter.numel() for parameter in network.parameters())
    trained = sum(parameter.numel() for parameter in network.trained_together() if parameter.requires_grad)
    rows = _sparse(network)  # their gradients are those of a batch
    smaller = "take a smaller encoder (encoder.source), or fewer labels"
    found += [
        Need(
            f"gradients and the moments of AdamW of {trained:,} weights",
            # On the CPU freed memory stays with the process, in pieces: large gradients take their room twice.
            12 * trained + 4 * (parameters if on_device else trained - rows) - 4 * rows,
            smaller,
            "always",
            on_device,
        ),
        *([] if on_device else [Need(f"{parameters:,} weights", 4 * parameters, smaller, held=True)]),
        # They are read while the moments are still there.
        Need("weights of the selected epoch", 4 * parameters, smaller, "scoring"),
    ]
    tokens, windows, width = _tokens(system, train)
    if tokens <= settings.runtime.tokens_in_memory:
        # Once as the tokenizer gives them, once as windows.
        found.append(Need(f"about {tokens:,} token ids", 8 * tokens, "lower runtime.tokens_in_memory"))
    left = activations(network, int(training.batch_size * windows), width, system.runtime().bf16)
    if left and not system.frozen:
        found.append(
            Need(
                f"activations of a batch of {training.batch_size} documents of {width} tokens",
                left,
                f"lower {batch}, or lower text.max_tokens (now {settings.text.max_tokens})",
                "training",
                on_device,
            )
        )
    spread = structure_activations(network, int(training.batch_size * windows), width)
    if spread:
        found.append(
            Need(
                f"activations of the structure encoder for a batch of {training.batch_size} documents",
                spread,
                f"lower {batch}, or lower structure.width (now {settings.structure.width})",
                "training",
                on_device,
            )
        )
    return found


def device_free(system: Any) -> int | None:
    """Free bytes of the GPU that the system is trained on; None on another device."""
    device = system.runtime().device
    if device.type != "cuda":
        return None
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def _sparse(network: Any) -> int:
    """Numbers in the tables whose gradients are sparse, of the largest training."""
    from taxotext.nn.node_scorers import NodeScorer

    trained = {id(parameter) for parameter in network.trained_together()}
    tables = (
        parameter
        for scorer in network.modules()
        if isinstance(scorer, NodeScorer) and scorer.sparse
        for parameter in scorer.parameters(recurse=False)
    )
    return sum(table.numel() for table in tables if id(table) in trained)


def _on_device(settings: Any) -> bool:
    if settings.runtime.device in ("cpu", "mps"):
        return False
    import torch

    return torch.cuda.is_available()


def _tokens(system: Any, train: Corpus) -> tuple[int, float, int]:
    """(token ids of all training documents, windows of a document, tokens of a long window), from some of the texts."""
    sample = train.texts[:: max(1, len(train) // SAMPLED)]
    windows = system.windows(sample)
    lengths = windows.tokens.lengths
    share = len(train) / len(sample)
    longest = sorted(windows.costs.tolist())[-max(1, len(sample) // 10)]  # one batch in ten is at least as wide
    return int(lengths.sum() * share), len(windows.tokens) / len(sample), int(longest)


def activations(network: Any, windows: int, tokens: int, bf16: bool) -> int:
    """Bytes that the layers of the encoder keep for the gradient; 0 where the encoder does not name its layers."""
    config = getattr(getattr(network.encoder, "model", None), "config", None)
    layers = getattr(config, "num_hidden_layers", None)
    heads = getattr(config, "num_attention_heads", None)
    width = getattr(config, "hidden_size", None)
    if not layers or not heads or not width:
        return 0
    size = windows * tokens * width * layers * (34 + 5 * heads * tokens / width)
    return int(size if bf16 else 2 * size)


def structure_activations(network: Any, windows: int, tokens: int) -> int:
    """Bytes that the structure encoder keeps for the gradient of a batch, in 32 bits; 0 without one.

    Two and three windows go through it, and what they leave is counted: a part that is there once and one for each
    window. A single window is counted as it is, since it needs fewer copies. Weights, running means and random numbers
    stay as they are.

    Args:
        network: before or after its training.
        windows: of a batch.
        tokens: of a window.
    """
    if not any(True for _ in network.structure.parameters()):
        return 0
    if windows == 1:
        return _kept(network, 1, tokens)
    two, three = (_kept(network, count, tokens) for count in (2, 3))
    return two + (three - two) * (windows - 2)


def _kept(network: Any, windows: int, tokens: int) -> int:
    """Bytes of the tensors that the structure encoder keeps for so many windows of zeros."""
    import torch

    from taxotext.nn.features import TextFeatures

    structure, encoder = network.structure, network.encoder
    own = {tensor.untyped_storage().data_ptr() for tensor in (*structure.parameters(), *structure.buffers())}
    sizes: dict[int, int] = {}
    held: list[Any] = []  # so that no two of them get the same place in memory

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    buffers = [(buffer, buffer.clone()) for buffer in structure.buffers()]
    was_training = structure.training
    device = next(structure.parameters()).device
    given = TextFeatures(
        torch.zeros(windows, tokens, encoder.token_width, device=device, requires_grad=True),
        torch.ones(windows, tokens, device=device, dtype=torch.bool),
        torch.zeros(windows, encoder.width, device=device, requires_grad=True),
    )
    own |= {part.untyped_storage().data_ptr() for part in (given.tokens, given.mask, given.pooled)}
    structure.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.enable_grad():
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            made = structure(given)
        for part in (made.labels, made.layers):  # what the head reads
            if part is not None:
                keep(part.detach())
    structure.train(was_training)
    for buffer, before in buffers:
        buffer.copy_(before)
    return sum(sizes.values())
