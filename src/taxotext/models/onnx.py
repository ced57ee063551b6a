"""``onnx``: the network of another system, exported, and run by ONNX Runtime without torch.

``taxotext export --to onnx`` makes a model folder of this system; it cannot be trained. The graph has, for W windows of
T tokens of B documents with at most C windows each,

    ids (W, T) int64, mask (W, T) bool, places (B, C) int64 where texts are read in pieces  →  scores (B, N) float32

and everything before and behind it is what it was: tokenizer, windows, calibration, consistency, thresholds.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from taxotext.composition.base import Progress, System, SystemSettings, block_starts, rows_together
from taxotext.composition.neural import SCORED_TOGETHER
from taxotext.composition.neural_settings import TextSettings
from taxotext.data.batches import Batch, make_batch, sorted_plan
from taxotext.data.tokens import TextTokenizer
from taxotext.data.windows import Windows
from taxotext.decoding import ScoreBlock
from taxotext.errors import ConfigError, DataError, MissingExtraError, ModelFolderError
from taxotext.files import sha256, write_text_atomically
from taxotext.files.json_files import read_json
from taxotext.files.native import check_record, write_record
from taxotext.files.onnx_files import check_onnx
from taxotext.labels import Taxonomy
from taxotext.messages import first_line

GRAPH, TOKENIZER, CERTIFICATE = "model.onnx", "tokenizer.json", "certificate.json"
WINDOWS_TOGETHER, TOKENS_TOGETHER = 64, 1024
"""Windows and tokens of a batch at most. With more tokens the activations leave the cache of a processor: a MiniLM at
256 tokens reads 29 documents a second in batches of 1,024 tokens, and 26 in batches of 4,096."""
ADVICE = "export the model again"
_DIMENSIONS = {"ids": 2, "mask": 2, "places": 2}


class OnnxSettings(SystemSettings):
    """Settings of ``onnx``."""

    text: TextSettings = Field(TextSettings(), description="tokens and long texts, as the exported system has them")


class Onnx(System):
    """An exported network.

    Args:
        settings: see :class:`OnnxSettings`.
        taxonomy: the N labels.

    Raises:
        ConfigError: the settings ask for another device than the processor, or for another precision.
    """

    name: ClassVar[str] = "onnx"
    Settings: ClassVar[type[SystemSettings]] = OnnxSettings
    recipe: ClassVar[str] = "none"
    _tokenizer: TextTokenizer
    _graph: Path
    _session: Any

    def __init__(self, settings: Any, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        if settings.runtime.device not in {"auto", "cpu"}:
            raise ConfigError(
                f"runtime.device: an exported model runs on the processor, not on {settings.runtime.device}; use cpu, "
                "or load the model that it was exported from."
            )
        if settings.runtime.predict_precision != "float32":
            raise ConfigError(
                "runtime.predict_precision: an exported model computes in the numbers that it was exported with; leave "
                "it out."
            )
        self.certificate: dict[str, Any] = {}
        self._record: dict[str, Any] = {}

    @classmethod
    def of(
        cls, graph: Path, tokenizer: TextTokenizer, settings: Any, taxonomy: Taxonomy, record: Mapping[str, Any]
    ) -> Self:
        """A system that runs a graph.

        Args:
            graph: ONNX file; it must stay where it is as long as the system is used.
            tokenizer: of the exported system.
            settings: of this system.
            taxonomy: the N labels.
            record: facts of the export, JSON values.

        Raises:
            MissingExtraError: onnxruntime is not installed.
            ModelFolderError: the file is damaged, does not fit the labels, or is refused
                (:func:`~taxotext.files.onnx_files.check_onnx`).
        """
        system = cls(settings, taxonomy)
        check_onnx(graph)
        system._tokenizer, system._graph, system._record = tokenizer, graph, dict(record)
        system._session = _session(graph, settings.runtime.threads)
        system._check(graph)
        return system

    def _check(self, graph: Path) -> None:
        """Refuse a graph of other inputs and outputs."""
        pieces = self.settings.text.long_text.startswith("chunk")
        wanted = {name: size for name, size in _DIMENSIONS.items() if pieces or name != "places"}
        found = {one.name: len(one.shape) for one in self._session.get_inputs()}
        if found != wanted:
            raise ModelFolderError(f"{graph}: reads {', '.join(found)}, not {', '.join(wanted)}; {ADVICE}.")
        shapes = [list(one.shape) for one in self._session.get_outputs()]
        if [shape[1:] for shape in shapes] != [[len(self.taxonomy)]]:
            raise ModelFolderError(
                f"{graph}: does not give the scores of {len(self.taxonomy):,} labels; the folder was mixed from two "
                f"models, {ADVICE}."
            )

    # -- use ---------------------------------------------------------------------------------------------------

    @property
    def tokenizer(self) -> TextTokenizer:
        """That of the exported system."""
        return self._tokenizer

    def windows(self, texts: Sequence[str]) -> Windows:
        """What the graph reads of ``texts``."""
        kept = self.settings.runtime.tokens_in_memory
        windows: Windows = self.settings.text.windows(self._tokenizer.encode(texts, kept), self._tokenizer, kept)
        return windows

    def scores(self, texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[ScoreBlock]:
        """Yield probabilities (b, N); documents of similar length are computed together."""
        for part in block_starts(len(texts), rows_together(SCORED_TOGETHER, len(self.taxonomy))):
            windows = self.windows(texts[part])
            found = np.empty((len(windows), len(self.taxonomy)), dtype=np.float32)
            for rows in sorted_plan(windows.costs, np.diff(windows.first), WINDOWS_TOGETHER, TOKENS_TOGETHER):
                found[rows] = self._batch_scores(make_batch(windows, rows, self._tokenizer.pad_id))
                if progress is not None:
                    progress(len(rows))
            if not np.isfinite(found).all():
                raise DataError(f"{self._graph}: gives NaN instead of probabilities; {ADVICE}.")
            yield ScoreBlock(found)

    def _batch_scores(self, batch: Batch) -> NDArray[np.float32]:
        """Scores of the documents of a batch, (B, N)."""
        given = {"ids": batch.ids, "mask": batch.mask, "places": places(batch.owner, len(batch.documents))}
        names = [one.name for one in self._session.get_inputs()]
        try:
            found: NDArray[np.float32] = self._session.run(None, {name: given[name] for name in names})[0]
        except Exception as error:  # classes of its own for each kind of fault
            raise ModelFolderError(
                f"{self._graph}: cannot be computed ({first_line(error)[:200]}); {ADVICE}."
            ) from error
        if found.shape != (len(batch.documents), len(self.taxonomy)):
            raise ModelFolderError(f"{self._graph}: gives scores of another shape {found.shape}; {ADVICE}.")
        return found

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many texts have tokens that are not read."""
        return sum(int(self.windows(texts[part]).cut.sum()) for part in block_starts(len(texts), SCORED_TOGETHER))

    def facts(self) -> dict[str, Any]:
        """What was exported and how, and what the certificate says."""
        found = self.certificate.get("documents") or self.certificate.get("random_words") or {}
        shown = ("largest_score_difference", "equal_decisions", "equal_label_sets")
        facts = {name: self._record.get(name) for name in ("parameters", "system", "weights")}
        return {**facts, **{name: round(found[name], 6) for name in shown if name in found}}

    # -- the folder --------------------------------------------------------------------------------------------

    def save_parts(self, folder: Path) -> None:
        """Write ``model.onnx``, ``tokenizer.json``, ``certificate.json``, and ``native.json`` with their checksums.

        Raises:
            ModelFolderError: the file that this system was read from has changed since.
        """
        before = self._record.get("graph_sha256")
        try:
            shutil.copyfile(self._graph, folder / GRAPH)
        except FileNotFoundError:
            raise ModelFolderError(f"{self._graph}: is not there any more; load the model again.") from None
        if before not in {None, sha256(folder / GRAPH)}:
            raise ModelFolderError(f"{self._graph}: has changed since it was loaded; load the model again.")
        self._tokenizer.save(folder / TOKENIZER)
        write_text_atomically(folder / CERTIFICATE, json.dumps(self.certificate, indent=2) + "\n")
        self._record["graph_sha256"] = sha256(folder / GRAPH)
        write_record(folder, (GRAPH, TOKENIZER, CERTIFICATE), {"exported": self._record})

    @classmethod
    def load_parts(cls, folder: Path, settings: Any, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote."""
        record = check_record(folder, "*.onnx").get("exported")
        if not isinstance(record, dict):
            raise ModelFolderError(f"{folder / 'native.json'}: must say what was exported; {ADVICE}.")
        tokenizer = TextTokenizer.from_file(folder / TOKENIZER)
        tokenizer.check_ids(int(record["token_ids"]))
        system = cls.of(folder / GRAPH, tokenizer, settings, taxonomy, record)
        system.certificate = read_json(folder / CERTIFICATE, dict, ADVICE)
        return system


def places(owner: NDArray[np.int64], documents: int) -> NDArray[np.int64]:
    """The windows of each document: (W,) owners, ascending -> (B, C), -1 where a document has fewer than C.

    >>> places(np.asarray([0, 0, 1]), 2).tolist()
    [[0, 1], [2, -1]]
    """
    counts = np.bincount(owner, minlength=documents)
    found = np.full((documents, int(counts.max(initial=1))), -1, dtype=np.int64)
    windows = np.arange(len(owner))
    found[owner, windows - np.repeat(np.cumsum(counts) - counts, counts)] = windows
    return found


def keep_from_reporting() -> None:
    """Before ONNX Runtime is imported: it keeps the number of a device in the user's folder and reports to its makers.

    Who has set the variable in the environment is left alone.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _session(graph: Path, threads: int | None) -> Any:
    keep_from_reporting()
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingExtraError(
            "Exported models run in ONNX Runtime; install it with `pip install 'taxotext[onnx]'`."
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: all cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelFolderError(f"{graph}: is refused by ONNX Runtime ({first_line(error)[:200]}); {ADVICE}.") from error
