"""Systems that are a composition: encoder, structure encoder, head and loss, trained by gradient descent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from taxotext.composition import parts
from taxotext.composition.base import Progress, System, SystemSettings, block_starts, rows_together
from taxotext.composition.neural_settings import NeuralSettings
from taxotext.composition.score_collector import ScoreCollector
from taxotext.composition.space import Around
from taxotext.composition.starting import LabelRows, sentence, take_weights
from taxotext.composition.weights import limited_by, load_weights, save_weights, within_memory
from taxotext.composition.words import WordSettings
from taxotext.data.batches import sorted_plan
from taxotext.data.tokens import Ragged, TextTokenizer
from taxotext.data.windows import Windows
from taxotext.decoding.blocks import ScoreBlock
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.files import write_text_atomically
from taxotext.files.json_files import read_json
from taxotext.files.tensors import read_shapes
from taxotext.labels.branches import LabelGraph
from taxotext.settings import parse_settings

if TYPE_CHECKING:
    from torch import nn

    from taxotext.cost.memory import Need
    from taxotext.data import Corpus
    from taxotext.labels import Taxonomy
    from taxotext.nn.batch import TokenBatch
    from taxotext.nn.encoders.pretrained import BuiltEncoder
    from taxotext.nn.features import TextFeatures
    from taxotext.nn.heads import Head
    from taxotext.nn.network import TextClassifier
    from taxotext.nn.runtime import Runtime

    Look = Callable[[NDArray[np.int64], TextFeatures], None]

PARTS = "parts.json"
"""What the parts of a model are rebuilt from, by kind."""
SCORED_TOGETHER = 2048
"""Documents that are scored as one block at most: what streaming holds in memory."""


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
        self._records: dict[str, parts.Record] = {}
        self._earlier: NeuralSystem | None = None
        self._start_note: str | None = None

    # -- building ----------------------------------------------------------------------------------------------

    @property
    def first_step(self) -> str:
        """What :meth:`build` does first, as a sentence."""
        if self._earlier is not None:
            return "Taking over the weights of the model that it starts from."
        if isinstance(self.settings.encoder, WordSettings):
            return "Making the vocabulary and the first word vectors."
        return "Loading the pretrained encoder."

    def build(self, train: Corpus) -> None:
        """Create the network: the encoder with its pretrained weights, the rest from the current random state.

        Args:
            train: whose texts a vocabulary is learned from, and what the parts take from the labels.
        """
        with within_memory(checked=self.settings.runtime.check_memory):
            if self._earlier is None:
                self._assemble(parts.build("encoder", self.settings.encoder, texts=train.texts), train)
            else:
                self._build_from(self._earlier, train)

    def start_from(self, earlier: System) -> None:
        """Let :meth:`build` begin with the weights of another system, of any labels; it is of no use afterwards.

        Raises:
            ConfigError: it is not one network, or has another encoder, or this one is trained level by level.
        """
        own = self.settings
        if not isinstance(earlier, NeuralSystem):
            raise ConfigError(
                f"training.start: a training of {earlier.name} always starts anew; name a model of one network, such "
                "as bert."
            )
        if own.head.level_wise or earlier.settings.head.level_wise:
            raise ConfigError("training.start: a training level by level starts anew; leave it out.")
        if own.encoder.name != earlier.settings.encoder.name:
            raise ConfigError(
                f"training.start: the encoder of that model is {earlier.settings.encoder.name}, not "
                f"{own.encoder.name}; leave the section encoder out."
            )
        self._earlier = earlier

    def _build_from(self, earlier: NeuralSystem, train: Corpus) -> None:
        """The network with the vocabulary of the earlier system, and the weights that fit."""
        labels = LabelRows.of(earlier.taxonomy, self.taxonomy)
        whole = {
            part: labels.equal
            and self.name == earlier.name
            and getattr(self.settings, part) == getattr(earlier.settings, part)
            for part in ("structure", "head")
        }
        built = parts.restore_encoder(self.settings.encoder, earlier.built.record, earlier.tokenizer)
        records = {part: earlier._records.get(part) if whole[part] else None for part in whole}
        self._assemble(replace(built, pretrained=None), train, {**records, "loss": None})
        rows = len(self.label_vectors()) > 0 and len(earlier.label_vectors()) > 0
        found = take_weights(self.network, earlier.network, labels, whole=whole, rows=rows)
        self._start_note, self._earlier = sentence(self.settings.training.start or "", labels, found), None

    def _assemble(self, built: BuiltEncoder, train: Corpus | None, records: Mapping[str, Any] | None = None) -> None:
        """Build structure, head and loss from the training documents, or from what was kept of earlier ones."""
        import torch

        from taxotext.nn.heads import LogitHead

        self.check_limit(built)
        settings = self.settings
        graph = self.label_graph()
        context = parts.LabelContext(
            self.taxonomy,
            int(built.module.width),  # type: ignore[arg-type]  # every encoder has both
            int(built.module.token_width),  # type: ignore[arg-type]
            built.tokenizer,
            train,
            branches=graph,
            encoder=built.module,
        )

        def part(kind: parts.Kind, structure: Any = None) -> Any:
            record = None if records is None else records.get(kind, {})
            given = replace(context, record=record, structure=structure)
            module, self._records[kind] = parts.build(kind, getattr(settings, kind), given)
            return module

        structure = part("structure")
        head = part("head", structure)
        weight = settings.training.recursive
        if weight and graph.edges.size and not (isinstance(head, LogitHead) and head.tied()):
            raise ConfigError(
                f"training.recursive: the head {settings.head.name} has no rows of labels to tie along the taxonomy; "
                "set it to 0, or take head.name=linear."
            )
        if isinstance(head, LogitHead):
            edges = torch.from_numpy(graph.edges.copy()) if weight and graph.edges.size else None
            join = "mean" if settings.text.long_text == "chunk_mean" else "max"
            criterion = torch.nn.Identity() if settings.loss is None else part("loss")
            head.use(criterion, join=join, recursive=weight, edges=edges)
        self._built = built
        self._network = self.whole_network(built.module, structure, self.whole_head(head, context))

    def label_graph(self) -> LabelGraph:
        """The nodes that structure encoder and head work on: the labels."""
        return LabelGraph.whole(self.taxonomy)

    def whole_head(self, head: Head, context: parts.LabelContext) -> Head:
        """The head of the network, from that of the nodes of the label graph."""
        return head

    def whole_network(self, encoder: nn.Module, structure: nn.Module, head: Head) -> TextClassifier:
        """The network of its parts."""
        from taxotext.nn.network import TextClassifier

        return TextClassifier(encoder, structure, head)

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
        return self.windows_of(self.tokenizer.encode(texts, self.settings.runtime.tokens_in_memory))

    def windows_of(self, tokens: Ragged) -> Windows:
        """The windows of documents that are token ids without special tokens."""
        windows: Windows = self.settings.text.windows(tokens, self.tokenizer, self.settings.runtime.tokens_in_memory)
        return windows

    def pretrained_parameters(self) -> set[str]:
        """Names of the network's parameters that start from pretrained weights (the smaller learning rate)."""
        chosen = self._built.pretrained if self._built is not None else None
        names = {name for name, _ in self.network.encoder.named_parameters()}
        return {f"encoder.{name}" for name in (names if chosen is None else names & chosen)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the built network."""
        given = self._built.notes if self._built is not None else ()
        return given if self._start_note is None else (self._start_note, *given)

    # -- use ---------------------------------------------------------------------------------------------------

    def runtime(self) -> Runtime:
        """The device and precision that the settings choose on this machine."""
        from taxotext.nn.runtime import resolve_runtime

        chosen = self.settings.runtime
        return resolve_runtime(chosen.device, chosen.precision, chosen.predict_precision, chosen.threads)

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield probabilities (b, N); documents of similar length are computed together."""
        runtime = self.runtime()
        for part in block_starts(len(texts), self.together):
            yield from self.score_windows(self.windows(texts[part]), runtime, progress)

    def score_windows(
        self,
        windows: Windows,
        runtime: Runtime,
        progress: Progress | None = None,
        states: NDArray[np.float16] | None = None,
        look: Look | None = None,
    ) -> Iterator[ScoreBlock]:
        """Yield the scores of prepared windows in blocks.

        Args:
            states: (tokens, d) of a frozen encoder, where they were computed before.
            look: called with the features of each batch, and which documents these are, (B,).
        """
        costs, counts = windows.costs, np.diff(windows.first)
        for part in block_starts(len(windows), self.together):
            plan = sorted_plan(costs[part], counts[part], 2 * self.settings.training.batch_size)
            batches = ((rows, self.batch(windows, rows + part.start, states)) for rows in plan)
            seen = None if look is None else partial(_shifted, look, part.start)
            yield self._score_block(batches, part.stop - part.start, runtime, progress, seen)

    def batch(
        self, windows: Windows, documents: NDArray[np.int64], states: NDArray[np.float16] | None = None
    ) -> TokenBatch:
        """Gather some documents into one padded batch."""
        from taxotext.nn.batch import TokenBatch

        return TokenBatch.gather(windows, documents, self.tokenizer.pad_id, states)

    def _score_block(
        self,
        batches: Iterable[tuple[NDArray[np.int64], TokenBatch]],
        documents: int,
        runtime: Runtime,
        progress: Progress | None,
        look: Look | None,
    ) -> ScoreBlock:
        """Scores of b documents in batches of any order, each with the rows that it fills.

        Raises:
            DataError: the network gives NaN.
        """
        import torch

        network = self.network.to(runtime.device)
        was_training = network.training
        network.eval()
        collected = ScoreCollector(documents, len(self.taxonomy))
        with torch.inference_mode():
            for rows, batch in batches:
                with runtime.autocast(training=False):
                    if look is None:
                        found = network.scores(batch.to(runtime.device))
                    else:
                        there = batch.to(runtime.device)
                        features = network.features(there)
                        look(rows, features)
                        found = network.scores(there, features)
                collected.add(rows, found)
                if progress is not None:
                    progress(len(rows))
        network.train(was_training)
        return collected.block()

    def search_with(self, beams: int | str) -> None:
        """Search with another number of beams from now on; raises ConfigError, see :class:`System`."""
        own = self.settings.head
        changed = own.searching(beams)
        if changed is None:
            super().search_with(beams)
            return
        chosen = parse_settings(type(own), {**own.model_dump(), **changed}, "the search")
        self.settings = self.settings.model_copy(update={"head": chosen})
        chosen.search_in(self.network.head)

    def label_vectors(self) -> dict[str, Any]:
        """What the head has of each label, where its rows are the labels."""
        head = getattr(self.network, "head", None)
        found = {} if head is None else head.label_vectors()
        labels = len(self.taxonomy)
        return {name: rows.detach().float().cpu().numpy() for name, rows in found.items() if len(rows) == labels}

    def memory(self, train: Corpus, validation: Corpus | None) -> list[Need]:
        """Scores, tokens, and, once the network is built, weights and what one batch leaves for its gradient."""
        from taxotext.cost.network import needs

        return needs(self, train, validation, self._network, together=self.together)

    @property
    def together(self) -> int:
        """Documents whose scores are one block; their lengths are sorted together."""
        head, labels = getattr(self.settings, "head", None), len(self.taxonomy)
        return rows_together(SCORED_TOGETHER, labels if head is None else head.scored(labels))

    @property
    def frozen(self) -> bool:
        """Whether the encoder keeps its pretrained weights; its states are then computed once."""
        return not getattr(self.settings.encoder, "trainable", True)

    def device_free(self) -> int | None:
        """Free bytes of the GPU, if there is one."""
        from taxotext.cost.network import device_free

        return device_free(self)

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many texts have tokens that are not read."""
        blocks = block_starts(len(texts), SCORED_TOGETHER)
        return sum(int(self._token_windows(texts[part]).cut.sum()) for part in blocks)

    def facts(self) -> dict[str, Any]:
        """Parameters, and the facts of the encoder and the other parts: source and hash, vocabulary, class weights."""
        facts: dict[str, Any] = {"parameters": sum(parameter.numel() for parameter in self.network.parameters())}
        for record in (self.built.facts, *(record.get("facts", {}) for record in self._records.values())):
            facts.update(record)
        return facts

    # -- the folder --------------------------------------------------------------------------------------------

    def save_parts(self, folder: Path) -> None:
        """Write ``encoder.json``, ``parts.json``, ``tokenizer.json`` and ``weights.safetensors``."""
        write_text_atomically(folder / "encoder.json", json.dumps(self.built.record, indent=2))
        write_text_atomically(folder / PARTS, json.dumps(self._records, indent=2, ensure_ascii=False))
        self.tokenizer.save(folder / "tokenizer.json")
        save_weights(self.network, folder / "weights.safetensors")

    @classmethod
    def load_parts(cls, folder: Path, settings: Any, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote."""
        system, path = cls(settings, taxonomy), folder / "weights.safetensors"
        tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
        record = read_json(folder / "encoder.json", dict)
        # Folders of format 1 have no records; their parts learned nothing that prediction needs.
        records = read_json(folder / PARTS, dict) if (folder / PARTS).exists() else {}
        if not all(isinstance(found, dict) for found in records.values()):
            raise ModelFolderError(f"{folder / PARTS}: must be a JSON object of objects; save the model again.")
        with limited_by(path, read_shapes(path)):
            built = parts.restore_encoder(settings.encoder, record, tokenizer)
            system._assemble(built, None, records)
        load_weights(system.network, path, mapped=True)
        return system


def _shifted(look: Look, start: int, rows: NDArray[np.int64], features: TextFeatures) -> None:
    look(rows + start, features)
