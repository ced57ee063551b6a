"""Systems that are a composition: encoder, structure encoder, head and loss, trained by gradient descent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from taxotext.composition import parts
from taxotext.composition.base import Progress, System, SystemSettings, block_starts
from taxotext.composition.class_weights import CLASS_WEIGHTS, class_weights, recorded_weights, shortest
from taxotext.composition.space import Around
from taxotext.composition.words import WordSettings
from taxotext.data.batches import make_batch, sorted_plan
from taxotext.data.tokens import TextTokenizer
from taxotext.data.windows import Windows, make_windows
from taxotext.decoding.blocks import ScoreBlock
from taxotext.errors import ConfigError, DataError, ModelFolderError
from taxotext.files import write_atomically
from taxotext.files.json_files import read_json
from taxotext.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from taxotext.cost.memory import Need
    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy
    from taxotext.nn.encoders.pretrained import BuiltEncoder
    from taxotext.nn.network import TextClassifier
    from taxotext.nn.runtime import Runtime

SCORED_TOGETHER = 2048
"""Documents whose lengths are sorted together when scoring: what streaming holds in memory."""


class TextSettings(Settings):
    """How texts become tokens."""

    max_tokens: int = Field(128, ge=4, description="tokens the encoder reads at once, special tokens included")
    long_text: Literal["truncate", "head_tail", "chunk_max", "chunk_mean"] = Field(
        "truncate", description="longer texts: truncate, head_tail, chunk_max, chunk_mean"
    )
    max_chunks: int = Field(8, ge=1, description="pieces of one text at most (chunk_max, chunk_mean)")


class TrainingSettings(Settings):
    """Gradient descent."""

    epochs: int = Field(10, ge=1, description="passes over the training documents at most")
    batch_size: int = Field(16, ge=1, description="documents in a batch")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are added before a step")
    learning_rate: float = Field(1e-4, gt=0, description="of the encoder (AdamW)")
    head_learning_rate: float = Field(1e-3, gt=0, description="of everything that starts from random weights")
    weight_decay: float = Field(0.01, ge=0, description="on matrices, not on biases and norms")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="of the learning rates")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rates rise")
    clip: float = Field(5.0, ge=0, description="largest norm of the gradient; 0: no clipping")
    recursive: float = Field(0.0, ge=0, description="weight of 1/2 |w_parent - w_child|^2 along the taxonomy")
    patience: int = Field(3, ge=1, description="epochs without a better validation score before stopping")
    monitor: Literal[
        "micro_f1", "macro_f1", "weighted_f1", "samples_f1", "set_accuracy", "hierarchical_micro_f1", "p@1", "ndcg@5"
    ] = Field("micro_f1", description="validation score that selects the epoch")
    averaging: Literal["none", "swa"] = Field(
        "none", description="swa: from averaging_start on, the mean of the weights at the ends of the epochs is kept"
    )
    averaging_start: float = Field(0.5, ge=0, lt=1, description="share of the epochs before averaging begins")
    checkpoint_minutes: float = Field(5.0, ge=0, description="time between checkpoints; 0: at each step")


class NeuralSettings(SystemSettings):
    """Settings of a composed system."""

    text: TextSettings = Field(TextSettings(), description="tokens and long texts")
    encoder: parts.choice("encoder") = Field(parts.TransformerSettings(), description="text encoder")  # type: ignore[valid-type]  # built from the registry
    structure: parts.choice("structure") = Field(parts.NoStructureSettings(), description="structure encoder")  # type: ignore[valid-type]
    head: parts.choice("head") = Field(parts.LinearHeadSettings(), description="label head")  # type: ignore[valid-type]
    loss: parts.choice("loss") = Field(parts.BinaryCrossEntropySettings(), description="loss over the labels")  # type: ignore[valid-type]
    training: TrainingSettings = Field(TrainingSettings(), description="gradient descent")


class NeuralSystem(System):
    """A composed system; subclasses are presets that set ``name`` and ``Settings``."""

    Settings: ClassVar[type[SystemSettings]] = NeuralSettings
    recipe: ClassVar[str] = "gradient"
    search_space: ClassVar[Mapping[str, Any]] = {  # not the epochs: those are chosen by early stopping
        "training.learning_rate": Around(5),
        "training.head_learning_rate": Around(5),
        "training.batch_size": [8, 16, 32],
        "training.weight_decay": [0.0, 0.01, 0.1],
        "head.dropout": "0..0.5",
        "loss.positive_weight": [1.0, "balanced"],
        "text.long_text": ["truncate", "head_tail"],
    }
    settings: Any

    def __init__(self, settings: Any, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        self._built: BuiltEncoder | None = None
        self._network: TextClassifier | None = None
        self._edges: Tensor | None = None  # (2, E), where the weights are
        self.loss_weights: dict[str, float] | None = None
        """Weights of positives by label id, where the loss took them from another model; else None."""

    # -- building ----------------------------------------------------------------------------------------------

    @property
    def first_step(self) -> str:
        """What :meth:`build` does first, as a sentence."""
        if isinstance(self.settings.encoder, WordSettings):
            return "Making the vocabulary and the first word vectors."
        return "Loading the pretrained encoder."

    def build(self, train: Corpus) -> None:
        """Create the network: the encoder with its pretrained weights, the rest from the current random state.

        Args:
            train: whose label frequencies the head starts from, and whose texts a vocabulary is learned from.
        """
        shares = (_positives(train) + 1) / (len(train) + 2)
        log_odds = np.log(shares / (1 - shares)).astype(np.float32)
        self._assemble(parts.build("encoder", self.settings.encoder, texts=train.texts), log_odds)

    def _assemble(self, built: BuiltEncoder, log_odds: NDArray[np.float32] | None = None) -> None:
        from taxotext.nn.network import TextClassifier

        self.check_limit(built)
        width = int(built.module.width)  # type: ignore[arg-type]  # every encoder has it
        structure = parts.build("structure", self.settings.structure, taxonomy=self.taxonomy, width=width)
        head = parts.build("head", self.settings.head, taxonomy=self.taxonomy, width=width, log_odds=log_odds)
        join = "mean" if self.settings.text.long_text == "chunk_mean" else "max"
        self._built = built
        self._network = TextClassifier(built.module, structure, head, join)

    def check_limit(self, built: BuiltEncoder) -> None:
        """Raise ConfigError where the encoder takes fewer tokens than the settings ask for."""
        limit, asked = built.max_tokens, self.settings.text.max_tokens
        if limit is not None and asked > limit:
            raise ConfigError(
                f"text.max_tokens: the encoder takes {limit} tokens at most, not {asked}; lower it, "
                "or set text.long_text=chunk_max to read longer texts in pieces."
            )

    @property
    def network(self) -> TextClassifier:
        """The network; raises RuntimeError before :meth:`build`."""
        if self._network is None:
            raise RuntimeError("the network is not built yet")
        return self._network

    @property
    def built(self) -> BuiltEncoder:
        """Encoder, tokenizer and record, as :meth:`build` made them; raises RuntimeError before."""
        if self._built is None:
            raise RuntimeError("the network is not built yet")
        return self._built

    @property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer of the encoder."""
        return self.built.tokenizer

    def windows(self, texts: Sequence[str]) -> Windows:
        """What the encoder reads of ``texts``: the same in training and in use."""
        windows, kept = self._token_windows(texts), self.settings.runtime.tokens_in_memory
        arrange = self._built.arrange if self._built is not None else None
        return windows if arrange is None else arrange(windows, in_memory=kept)

    def _token_windows(self, texts: Sequence[str]) -> Windows:
        text, kept = self.settings.text, self.settings.runtime.tokens_in_memory
        return make_windows(
            self.tokenizer.encode(texts, kept),
            max_tokens=text.max_tokens,
            mode=text.long_text,
            max_chunks=text.max_chunks,
            prefix=self.tokenizer.prefix,
            suffix=self.tokenizer.suffix,
            in_memory=kept,
        )

    def loss(self, train: Corpus) -> nn.Module:
        """Loss over (logits, targets, weights), with the label counts of the training documents."""
        loss: nn.Module = parts.build(
            "loss",
            self.settings.loss,
            taxonomy=self.taxonomy,
            positives=_positives(train),
            documents=len(train),
        )
        if getattr(self.settings.loss, "weights_from", None) is not None:
            weights: Any = loss.positive_weight
            self.loss_weights = dict(zip(self.taxonomy.ids, shortest(weights.cpu().numpy()), strict=True))
        return loss

    def regulariser(self) -> Tensor | None:
        """Penalty that is added to the loss, or None."""
        from taxotext.nn.losses import recursive_regularisation

        weight = self.settings.training.recursive
        if weight == 0 or self.taxonomy.is_flat:
            return None
        import torch

        rows: Any = self.network.head.label_weights
        if self._edges is None or self._edges.device != rows.device:
            self._edges = torch.tensor(self.taxonomy.edge_index, device=rows.device)
        penalty: Tensor = weight * recursive_regularisation(rows, self._edges)
        return penalty

    def pretrained_parameters(self) -> set[str]:
        """Names of the network's parameters that start from pretrained weights (the smaller learning rate)."""
        chosen = self._built.pretrained if self._built is not None else None
        names = {name for name, _ in self.network.encoder.named_parameters()}
        return {f"encoder.{name}" for name in (names if chosen is None else names & chosen)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the built encoder."""
        return self._built.notes if self._built is not None else ()

    # -- use ---------------------------------------------------------------------------------------------------

    def runtime(self) -> Runtime:
        """The device and precision that the settings choose on this machine."""
        from taxotext.nn.runtime import resolve_runtime

        chosen = self.settings.runtime
        return resolve_runtime(chosen.device, chosen.precision, chosen.predict_precision, chosen.threads)

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield probabilities (b, N); documents of similar length are computed together."""
        runtime = self.runtime()
        for part in block_starts(len(texts), SCORED_TOGETHER):
            yield from self.score_windows(self.windows(texts[part]), runtime, progress)

    def score_windows(
        self, windows: Windows, runtime: Runtime, progress: Progress | None = None
    ) -> Iterator[ScoreBlock]:
        """Yield probabilities (b, N) of prepared windows."""
        costs, counts = windows.costs, np.diff(windows.first)
        for part in block_starts(len(windows), SCORED_TOGETHER):
            plan = sorted_plan(costs[part], counts[part], 2 * self.settings.training.batch_size)
            yield self._score_block(windows, part, plan, runtime, progress)

    def _score_block(
        self,
        windows: Windows,
        part: slice,
        plan: list[NDArray[np.int64]],
        runtime: Runtime,
        progress: Progress | None,
    ) -> ScoreBlock:
        """Probabilities (b, N) of the documents ``part``; ``plan`` numbers them from 0."""
        import torch

        network = self.network.to(runtime.device)
        was_training = network.training
        network.eval()
        block = np.empty((part.stop - part.start, len(self.taxonomy)), dtype=np.float32)
        with torch.inference_mode():
            for documents in plan:
                batch = make_batch(windows, documents + part.start, self.tokenizer.pad_id)
                with runtime.autocast(training=False):
                    logits = network(
                        torch.from_numpy(batch.ids).to(runtime.device),
                        torch.from_numpy(batch.mask).to(runtime.device),
                        torch.from_numpy(batch.owner).to(runtime.device),
                        len(documents),
                    )
                block[documents] = torch.sigmoid(logits.float()).cpu().numpy()
                if progress is not None:
                    progress(len(documents))
        network.train(was_training)
        if not np.isfinite(block).all():
            raise DataError(
                "The network answers with NaN instead of probabilities: its training has diverged. Train again with a "
                "lower training.learning_rate, or with runtime.precision=float32."
            )
        return ScoreBlock(block)

    def memory(self, train: Corpus, validation: Corpus | None) -> list[Need]:
        """Scores, tokens, and, once the network is built, weights and what one batch leaves for its gradient."""
        from taxotext.cost.network import needs

        return needs(self, train, validation, self._network, together=SCORED_TOGETHER)

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many texts have tokens that are not read."""
        blocks = block_starts(len(texts), SCORED_TOGETHER)
        return sum(int(self._token_windows(texts[part]).cut.sum()) for part in blocks)

    def facts(self) -> dict[str, Any]:
        """Parameters, and the facts of the encoder: its source and hash, or its vocabulary and word vectors."""
        parameters = sum(parameter.numel() for parameter in self.network.parameters())
        facts = {"parameters": parameters, **(self._built.facts if self._built is not None else {})}
        if self.loss_weights is not None:
            source, weights = Path(self.settings.loss.weights_from).name, self.loss_weights.values()
            facts["class_weights"] = f"{min(weights):g} to {max(weights):g}, from {source}"
        return facts

    # -- the folder --------------------------------------------------------------------------------------------

    def save_parts(self, folder: Path) -> None:
        """Write ``encoder.json``, ``tokenizer.json``, ``weights.safetensors``; also what class weights were given."""
        if self._built is None:
            raise RuntimeError("the network is not built yet")
        (folder / "encoder.json").write_text(json.dumps(self._built.record, indent=2), encoding="utf-8")
        self.tokenizer.save(folder / "tokenizer.json")
        save_weights(self.network, folder / "weights.safetensors")
        if self.loss_weights is not None:
            content = json.dumps(class_weights(self.loss_weights), indent=2, ensure_ascii=False)
            (folder / CLASS_WEIGHTS).write_text(content, encoding="utf-8")

    @classmethod
    def load_parts(cls, folder: Path, settings: Any, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote."""
        system = cls(settings, taxonomy)
        tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
        record = read_json(folder / "encoder.json", dict)
        system._assemble(parts.build("encoder", settings.encoder, record=record, tokenizer=tokenizer))
        load_weights(system.network, folder / "weights.safetensors")
        if getattr(settings.loss, "weights_from", None) is not None:  # from the folder: the other model may be gone
            system.loss_weights = recorded_weights(folder, taxonomy)
        return system


def _positives(train: Corpus) -> NDArray[np.int64]:
    """Training documents of each label (N,)."""
    return np.asarray(train.known_targets.sum(axis=0), dtype=np.int64).ravel()


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the state of ``network`` as safetensors, completely or not at all."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(state, temporary))


def load_weights(network: nn.Module, path: Path) -> None:
    """Load safetensors into ``network``; every name and shape must fit.

    Raises:
        ModelFolderError: when the file is missing, damaged or of another network or taxonomy.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except FileNotFoundError:
        raise ModelFolderError(f"{path}: the weights are missing; save the model again.") from None
    except (SafetensorError, OSError) as error:
        raise ModelFolderError(f"{path}: is damaged ({error}); save the model again.") from None
    expected = network.state_dict()
    problems = [f"{name}: missing" for name in expected.keys() - state.keys()]
    problems += [f"{name}: not part of this model" for name in state.keys() - expected.keys()]
    problems += [
        f"{name}: shape {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected.keys() & state.keys()
        if state[name].shape != expected[name].shape
    ]
    if problems:
        raise ModelFolderError(
            f"{path}: the weights do not fit the configuration and the taxonomy of the folder.",
            sorted(problems),
        )
    network.load_state_dict(state)
