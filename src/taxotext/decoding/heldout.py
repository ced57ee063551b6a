"""Scores of documents that the model was not fitted on: what thresholds are tuned with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from taxotext.decoding.blocks import ScoreBlock
from taxotext.decoding.tuning import sparse_scores
from taxotext.errors import ModelFolderError
from taxotext.files.tensors import Tensors, numbers, read_shapes, read_tensors, sparse_rows

Fingerprints: TypeAlias = NDArray[np.uint64]
SALT_BYTES = 16
DECODED_TOGETHER = 1024

FLOOR = 0.001
"""Probabilities below it are dropped: no sensible threshold lies there, and D x N scores stay sparse."""


@dataclass(frozen=True)
class HeldOut:
    """Scores and gold labels of D held-out documents.

    Documents are known again by a salted 64-bit fingerprint of their text (:func:`fingerprints`): the rows of two
    models can be matched where the corpus is at hand, and documents that a model was trained on are found in others.
    """

    scores: csr_array  # csr float32 (D, N), probabilities above `FLOOR`: the candidates of a sparse block
    gold: csr_array  # csr bool (D, N), labels that the model knows
    source: str  # which documents these are, in words
    fingerprints: Fingerprints | None = None  # uint64 (D,), None where they were not kept
    salt: str = ""  # of all fingerprints here, hexadecimal; empty where there are none
    trained: Fingerprints | None = None  # uint64, ascending, of the training documents; None where they were not kept
    # csr bool (D, N), the label sets of a system that decides on them itself; else None
    decided: csr_array | None = None
    # uint64, ascending, of documents from elsewhere that thresholds were tuned on; None where there were none
    tuned: Fingerprints | None = None

    @classmethod
    def from_blocks(
        cls, blocks: Iterable[Any], gold: csr_array, source: str, *, texts: Sequence[str] | None = None
    ) -> Self:
        """Collect the scores of held-out documents.

        Args:
            blocks: score blocks (b, N) of the documents of ``gold``, dense or sparse.
            gold: csr bool (D, N).
            source: which documents these are, in words.
            texts: D, for the fingerprints; None: without.
        """
        kept: list[Any] = []
        sets: list[Any] = []
        for given in blocks:
            block = ScoreBlock.of(given)
            kept.append(sparse_scores(block, FLOOR))
            sets += [] if block.sets is None else [block.sets]
        scores: Any = vstack(kept, format="csr") if kept else csr_array(gold.shape, dtype=np.float32)
        found = cls(scores, gold, source, decided=vstack(sets, format="csr") if sets else None)
        if texts is None:
            return found
        salt = salt_of(texts)
        return replace(found, fingerprints=fingerprints(texts, salt), salt=salt)

    def block(self, rows: slice) -> ScoreBlock:
        """Return scores, and label sets of the system, of some documents."""
        return ScoreBlock(self.scores[rows], None if self.decided is None else self.decided[rows])

    def blocks(self) -> Iterator[tuple[slice, ScoreBlock]]:
        """Yield documents that are decoded together, and their :meth:`block`."""
        for start in range(0, self.gold.shape[0], DECODED_TOGETHER):
            rows = slice(start, start + DECODED_TOGETHER)
            yield rows, self.block(rows)

    def with_trained(self, texts: Sequence[str]) -> Self:
        """Return the same with the fingerprints of the training documents."""
        salt = self.salt or salt_of(texts)
        return replace(self, salt=salt, trained=np.sort(fingerprints(texts, salt)))

    def was_trained_on(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Which of the texts, (D,), are those of training documents."""
        if not self.salt or self.trained is None:
            return np.zeros(len(texts), dtype=np.bool_)
        return np.isin(fingerprints(texts, self.salt), self.trained)

    def known(self, texts: Sequence[str]) -> tuple[int, int]:
        """How many of the texts are those of training documents, and how many others those of validation or tuning."""
        if not self.salt:
            return 0, 0
        found, trained = fingerprints(texts, self.salt), self.was_trained_on(texts)
        none = np.zeros(0, dtype=np.uint64)
        chosen = np.concatenate([none if kept is None else kept for kept in (self.fingerprints, self.tuned)])
        return int(trained.sum()), int((np.isin(found, chosen) & ~trained).sum())

    def save(self, path: Path) -> None:
        """Write a safetensors file; the texts are not part of it."""
        from safetensors.numpy import save_file

        scores, gold = self.scores, self.gold
        tensors: dict[str, NDArray[Any]] = {
            "scores.indptr": scores.indptr.astype(np.int64),
            "scores.indices": scores.indices.astype(np.int32),
            "scores.data": scores.data.astype(np.float32),
            "gold.indptr": gold.indptr.astype(np.int64),
            "gold.indices": gold.indices.astype(np.int32),
            "labels": np.asarray([gold.shape[1]], dtype=np.int64),
        }
        if self.decided is not None:
            tensors["decided.indptr"] = self.decided.indptr.astype(np.int64)
            tensors["decided.indices"] = self.decided.indices.astype(np.int32)
        if self.salt:
            tensors["salt"] = np.frombuffer(bytes.fromhex(self.salt), dtype=np.uint8)
        if self.fingerprints is not None:
            tensors["fingerprints"] = self.fingerprints
        if self.trained is not None:
            tensors["trained.fingerprints"] = self.trained
        if self.tuned is not None:
            tensors["tuned.fingerprints"] = self.tuned
        # One entry only: several would be written in random order, and equal models should be equal files.
        save_file(tensors, path, metadata={"source": self.source})

    @classmethod
    def load(cls, path: Path, labels: int) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ModelFolderError: when the file is damaged or of another taxonomy.
        """
        advice = "delete it (tune then needs --data), or save the model again"
        for name, lengths in read_shapes(path).items():  # before anything is read: files may be large
            if len(lengths) != 1:
                raise ModelFolderError(f"{path}: cannot be used ({name!r} has the shape {lengths}); {advice}.")
        tensors, metadata = read_tensors(path)
        try:
            # Folders of version 0.1.0 have the number of labels among the metadata.
            known = int(metadata["labels"] if "labels" in metadata else numbers(tensors, "labels", (1,), np.int64)[0])
            shape = (max(tensors["gold.indptr"].size, 1) - 1 if "gold.indptr" in tensors else 0, known)
            gold = sparse_rows(tensors, "gold", shape, ones=True)
            scores = sparse_rows(tensors, "scores", shape)
            if scores.nnz and not (scores.data.min() >= 0 and scores.data.max() <= 1):
                raise ValueError("the scores are not probabilities")
            decided = sparse_rows(tensors, "decided", shape, ones=True) if "decided.indptr" in tensors else None
            own = _kept(tensors, "fingerprints", shape[0], np.uint64)
            trained = _kept(tensors, "trained.fingerprints", None, np.uint64)
            tuned = _kept(tensors, "tuned.fingerprints", None, np.uint64)
            salt = _kept(tensors, "salt", SALT_BYTES, np.uint8)
        except ValueError as error:
            raise ModelFolderError(f"{path}: cannot be used ({error}); {advice}.") from None
        if known != labels:
            raise ModelFolderError(f"{path}: holds scores of {known} labels, the taxonomy has {labels}; {advice}.")
        source = metadata.get("source", "held-out documents")
        text = "" if salt is None else salt.tobytes().hex()
        return cls(scores, gold, source, own, text, trained, decided, tuned)


def fingerprints(texts: Sequence[str], salt: str) -> Fingerprints:
    """Return 64 bits of the keyed BLAKE2b hash of each text, (D,) uint64.

    Args:
        texts: D.
        salt: the key, hexadecimal.
    """
    key = bytes.fromhex(salt)
    digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def salt_of(texts: Sequence[str]) -> str:
    """Return the salt of a model, hexadecimal: another one for other documents, the same for a training run again."""
    digest = blake2b(digest_size=SALT_BYTES)
    for text in texts:
        digest.update(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
    return digest.hexdigest()


def _kept(tensors: Tensors, name: str, count: int | None, kind: Any) -> NDArray[Any] | None:
    """One array that older files lack; ``count`` None: of any length."""
    if name not in tensors:
        return None
    if tensors[name].dtype != kind:
        raise ValueError(f"{name!r} is of type {tensors[name].dtype} instead of {np.dtype(kind)}")
    return numbers(tensors, name, (tensors[name].size if count is None else count,), kind)
