"""Label sequences from the decoder of a pretrained encoder-decoder, with one new token for each label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taxotext.nn.encoders.encoder_decoder import EncoderDecoder
from taxotext.nn.features import TextFeatures
from taxotext.nn.sequence.decoder import BLOCKED, Memory, State, StepwiseDecoder


class LabelTokens(StepwiseDecoder):
    """Reads and writes labels in place of words.

    With X the rows of the labels that are read and O those that are written, of N labels and the end:

        s_t = decoder([X[begin], X[y_1] .. X[y_{t-1}]], encoder(x))      last state
        p_t = softmax(O (c s_t) + I_t)                                   c: of the pretrained model; I_t = −∞ on emitted

    The pretrained decoder is a part of the encoder of the network, which owns its weights, and attends to all tokens:
    ``skip`` has no effect. ``hidden`` (B, K, t, D) is what was read so far; label sequences are short, and are read
    again in each step.

    Args:
        labels: N.
        model: the pretrained encoder-decoder.
        rows: X (N + 2, D) and O (N + 1, D) at the start; None: they are filled from a folder.
    """

    stack: nn.Module

    def __init__(self, labels: int, model: EncoderDecoder, rows: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self.labels, self.scale = labels, model.scale
        # Not registered: its parameters would be saved and trained twice.
        object.__setattr__(self, "stack", model.decoder)
        self.embedding = nn.Embedding(labels + 2, model.width)
        self.output = nn.Linear(model.width, labels + 1)
        nn.init.zeros_(self.output.bias)
        if rows is not None:
            with torch.no_grad():
                self.embedding.weight.copy_(rows[0])
                self.output.weight.copy_(rows[1])

    def start(self, features: TextFeatures, skip: int = 0) -> tuple[Memory, State]:
        tokens, mask = features.by_document()  # (B, S, D), (B, S)
        prefix = tokens.new_zeros(len(tokens), 1, 0, tokens.shape[2])
        return Memory(tokens, mask, None), State(prefix, tokens.new_zeros(len(tokens), 1, 0), None, None)

    def label_vectors(self) -> dict[str, Tensor]:
        """What is read of a label and predicts it, (N, E)."""
        return {"embedding": self.embedding.weight[: self.labels], "output": self.output.weight[: self.labels]}

    def step(self, memory: Memory, state: State, previous: Tensor, emitted: Tensor) -> tuple[Tensor, State]:
        documents, beams = previous.shape
        given = self.embedding(previous).unsqueeze(2)  # (B, K, 1, D)
        prefix = torch.cat([state.hidden.to(given.dtype), given], 2)  # (B, K, t + 1, D)
        found = self.stack(
            inputs_embeds=prefix.flatten(0, 1),
            encoder_hidden_states=memory.tokens.repeat_interleave(beams, 0),
            encoder_attention_mask=memory.mask.long().repeat_interleave(beams, 0),
            use_cache=False,
        ).last_hidden_state[:, -1]  # (B K, D)
        logits = self.output(self.scale * found).float().view(documents, beams, -1)  # (B, K, V)
        log_probabilities = torch.log_softmax(logits.masked_fill(emitted, BLOCKED), -1)
        return log_probabilities, State(prefix, state.context, None, None)
