"""Systems of one binary classifier for each label: N small networks as one model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from taxotext.binary.networks import changes_encoder, reads_states, single_network
from taxotext.binary.reports import read_fits
from taxotext.binary.settings import BinarySettings
from taxotext.composition import parts
from taxotext.composition.base import SystemSettings, Work
from taxotext.composition.class_weights import CLASS_WEIGHTS, class_weights
from taxotext.composition.neural import NeuralSystem
from taxotext.composition.weights import limited_by, misfit, shape_problems, within_memory
from taxotext.data.tokens import TextTokenizer
from taxotext.files import write_atomically, write_text_atomically
from taxotext.files.json_files import read_json
from taxotext.files.tensors import read_shapes, read_tensors
from taxotext.labels import Taxonomy

if TYPE_CHECKING:
    from torch import Tensor

    from taxotext.cost.memory import Need
    from taxotext.data import Corpus
    from taxotext.nn.encoders.pretrained import BuiltEncoder
    from taxotext.nn.label_networks import LabelNetwork, LabelNetworks

FITS = "fits.json"
"""How each label was fitted, in the order of the taxonomy."""


class BinarySystem(NeuralSystem):
    """N binary classifiers; :mod:`taxotext.binary.recipe` fits them."""

    Settings: ClassVar[type[SystemSettings]] = BinarySettings
    recipe: ClassVar[str] = "hierarchy"
    search_space: ClassVar[Mapping[str, Any]] = {
        "encoder.units": [48, 96, 192],
        "encoder.dropout": "0..0.5",
        "body.units": [32, 64, 128],
        "body.dropout": "0..0.5",
        "body.rank": [4, 8, 16],
        "training.batch_size": [32, 64, 128],
        "text.max_tokens": [128, 256],
    }
    _network: Any

    def __init__(self, settings: Any, taxonomy: Taxonomy) -> None:
        super().__init__(settings, taxonomy)
        self.fits: list[dict[str, Any]] = []
        """How each label was fitted (N,): weight, validation F1, epoch, parent; empty before."""

    def build(self, train: Corpus) -> None:
        """Make what the labels share: the vocabulary and the first word vectors, or the pretrained encoder."""
        with within_memory(checked=self.settings.runtime.check_memory):
            self._use(parts.build("encoder", self.settings.encoder, texts=train.texts))
            single_network(self.settings, self.built.record, self.tokenizer)  # says now what cannot be fitted

    def _use(self, built: BuiltEncoder) -> None:
        self.check_limit(built)
        if self.settings.body is not None:
            built = replace(built, record={**built.record, "width": int(built.module.token_width)})  # type: ignore[arg-type]
            built.module.requires_grad_(False)
        self._built = built

    def take(self, tables: list[Tensor], table_of: Tensor, each: Mapping[str, Tensor], fits: list[Any]) -> None:
        """Become N fitted classifiers.

        Args:
            tables: word vectors (V, D); none where the labels share an encoder.
            table_of: (N,) which of them each label reads.
            each: name of a parameter -> (N, ...).
            fits: how each label was fitted.
        """
        self._take(self._one(), tables, table_of, each, fits)

    def _one(self) -> LabelNetwork:
        encoder = self.built.module if changes_encoder(self.settings) else None
        return single_network(self.settings, self.built.record, self.tokenizer, encoder)

    def _take(
        self,
        one: LabelNetwork,
        tables: list[Tensor],
        table_of: Tensor,
        each: Mapping[str, Tensor],
        fits: list[dict[str, Any]],
    ) -> None:
        from taxotext.nn.label_networks import LabelNetworks

        base = self.built.module if reads_states(self.settings) else None
        self._network = LabelNetworks(one, tables, table_of, each, base)
        self.fits = fits

    def _base_state(self) -> dict[str, Tensor]:
        """Weights of the encoder that the labels share, by name; empty over words."""
        from taxotext.nn.encoders.adapters import base_state

        return {} if self.settings.body is None else base_state(self.built.module)

    def class_weights(self) -> dict[str, Any]:
        """Content of :data:`CLASS_WEIGHTS`."""
        return class_weights({label: fit["weight"] for label, fit in zip(self.taxonomy.ids, self.fits, strict=True)})

    def facts(self) -> dict[str, Any]:
        """Parameters of all classifiers and of what they share, and the facts of the encoder."""
        networks: LabelNetworks = self._network
        own, shared = list(networks.each.values()), [*networks.tables, *self._base_state().values()]
        facts = {"parameters": sum(values.numel() for values in own + shared)}
        body = self.settings.body
        if body is None:
            facts["embedding_tables"] = len(networks.tables)
        else:
            facts |= {"body": body.name, "parameters_of_a_label": sum(values[0].numel() for values in own)}
        return {**facts, **self.built.facts}

    def device_free(self) -> int | None:
        """None: what the processes hold on a GPU is not estimated."""
        return None

    @classmethod
    def brief(cls, settings: Any) -> Any:
        """One epoch, one class weight, one process."""
        one = {"candidates": settings.weights.candidates[:1]}
        changes = {
            "weights": settings.weights.model_copy(update=one),
            "runtime": settings.runtime.model_copy(update={"threads": 1}),
        }
        return super().brief(settings).model_copy(update=changes)

    def work(self, train: Corpus, validation: Corpus | None, seconds: float) -> Work:
        """Epochs of all labels and class weights, over the processes that share them."""
        from taxotext.binary.plan import Files, FitPlan

        if validation is None:
            raise ValueError("binary systems do not cross-fit: validation documents are needed")
        plan = FitPlan.of(self.settings, train, validation, Files(Path()))
        at_work, done = (float(sum(fit[key] for fit in self.fits)) for key in ("seconds", "epochs"))
        planned = sum(plan.epochs.values()) / plan.processes
        return Work(at_work, max(seconds - at_work, 0.0), done, planned, 1.0)

    def memory(self, train: Corpus, validation: Corpus | None) -> list[Need]:
        """What the processes that fit hold beside each other."""
        from taxotext.binary.memory import needs

        return needs(self, train)

    def save_parts(self, folder: Path) -> None:
        """Write ``encoder.json``, ``tokenizer.json``, ``weights.safetensors``, and how the labels were fitted."""
        from safetensors.torch import save_file

        networks: LabelNetworks = self._network
        stored = {f"tables.{number}": table.data for number, table in enumerate(networks.tables)}
        stored |= {f"base.{name}": values for name, values in self._base_state().items()}
        stored |= {f"labels.{name}": values for name, values in networks.each.items()}
        if self.settings.storage == "float16":
            stored = {name: values.half() if values.is_floating_point() else values for name, values in stored.items()}
        stored = {name: values.cpu().contiguous() for name, values in stored.items()}
        stored["table_of"] = networks.table_of.cpu()
        (folder / "encoder.json").write_text(json.dumps(self.built.record, indent=2), encoding="utf-8")
        self.tokenizer.save(folder / "tokenizer.json")
        write_atomically(folder / "weights.safetensors", lambda temporary: save_file(stored, temporary))
        write_text_atomically(folder / CLASS_WEIGHTS, json.dumps(self.class_weights(), indent=2, ensure_ascii=False))
        write_text_atomically(folder / FITS, json.dumps(self.fits, indent=1))

    @classmethod
    def load_parts(cls, folder: Path, settings: Any, taxonomy: Taxonomy) -> Self:
        """Read what :meth:`save_parts` wrote."""
        import torch

        from taxotext.nn.label_networks import TABLE

        system = cls(settings, taxonomy)
        tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
        record = read_json(folder / "encoder.json", dict)
        fits = read_fits(folder / FITS, len(taxonomy))
        path = folder / "weights.safetensors"
        with limited_by(path, read_shapes(path)):
            system._use(parts.restore_encoder(settings.encoder, record, tokenizer))
            one = system._one()
        stored = {name: torch.from_numpy(values) for name, values in read_tensors(path)[0].items()}
        table_of = stored.pop("table_of", None)
        stored = {name: values.float() if values.is_floating_point() else values for name, values in stored.items()}
        base = system._base_state()
        expected = {f"labels.{name}": (len(taxonomy), *values.shape) for name, values in one.own_state().items()}
        expected |= {f"base.{name}": tuple(values.shape) for name, values in base.items()}
        tables = 0
        if TABLE in one.shared:
            tables = max(1, sum(name.startswith("tables.") for name in stored))
            shape = tuple(one.state_dict()[TABLE].shape)
            expected |= {f"tables.{number}": shape for number in range(tables)}
        problems = shape_problems(expected, {name: tuple(values.shape) for name, values in stored.items()})
        if table_of is None or table_of.dtype != torch.int64 or table_of.shape != (len(taxonomy),):
            problems.append(f"table_of: must be {len(taxonomy)} whole numbers")
        elif not ((table_of >= 0) & (table_of < max(tables, 1))).all():
            problems.append("table_of: names word vectors that are not there")
        if problems or table_of is None:
            raise misfit(path, problems)
        for name, values in base.items():
            values.copy_(stored[f"base.{name}"])
        each = {name: stored[f"labels.{name}"] for name in one.own_state()}
        system._take(one, [stored[f"tables.{number}"] for number in range(tables)], table_of, each, fits)
        return system
