"""The cells of an experiment, and when two of them are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from taxotext import __version__
from taxotext.api.runs import DataSettings
from taxotext.composition.named_files import named_files
from taxotext.errors import ConfigError, DataError
from taxotext.experiments.members import Triple, members_first
from taxotext.experiments.settings import ExperimentSettings
from taxotext.files import sha256
from taxotext.files.json_files import checked
from taxotext.messages import counted
from taxotext.models.registry import find
from taxotext.settings import parse_settings

SAMPLE = "sample:"
"""``sample:train.jsonl`` names a file of the corpus that comes with the package."""
IDENTITY_VERSION = 1
DATA_FILES = ("train", "validation", "test", "taxonomy", "names")
KEY_LENGTH = 16


@dataclass(frozen=True)
class Cell:
    """One system with one seed on one corpus."""

    # system, corpus: names of the experiment
    system: str
    corpus: str
    seed: int  # of the training
    # the configuration of the training, as `taxotext train` takes it, with all paths as they are here
    values: dict[str, Any]
    test: str  # path of the test file
    tune: dict[str, Any] | None  # how thresholds are tuned; None: not at all
    ks: tuple[int, ...]  # cut-offs of the ranking metrics
    identity: dict[str, Any]  # what the metrics depend on; cells of equal identity have equal metrics
    key: str  # hash of `identity`
    members: tuple[str, ...] = ()  # keys of the cells that it is made of, in their order

    @property
    def title(self) -> str:
        """The cell in words."""
        return f"{self.system}, {self.corpus}, seed {self.seed}"

    @property
    def folder_name(self) -> str:
        """Readable and unique; the key alone decides which cell it is."""
        return f"{self.system}_{self.corpus}_{self.seed}_{self.key}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Cell:
        """What :meth:`to_dict` gave.

        Raises:
            ValueError: it is something else.
        """
        found: Cell = checked(cls, values)
        return found


def make_cells(settings: ExperimentSettings, threads: int, where: str) -> list[Cell]:
    """Return the cells in the order of the table.

    Args:
        threads: of each cell.

    Raises:
        ConfigError: listing every data file that is not there.
        DataError: one cannot be read.
    """
    data, files = _data_sections(settings, where)
    once = cache(content_digest)  # cells share files

    def digest(path: str) -> str:
        try:
            return once(Path(path))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None

    cells: dict[Triple, Cell] = {}
    how = settings.tune.model_dump(mode="json", exclude={"enabled"})
    triples = settings.triples()
    named = {system: entry.members for system, entry in settings.systems.items()}
    for system, corpus, seed in members_first(triples, named):
        model = settings.systems[system].model
        tune = how if settings.is_tuned(system) else None
        given = settings.settings_of(system, corpus, seed)
        values = {"model": model, "data": data[corpus], **given}
        values["runtime"] = {**dict(given.get("runtime") or {}), "threads": threads}
        reading = {key: value for key, value in data[corpus].items() if key not in DATA_FILES}
        # Display names change no result.
        contents = {key: path and digest(path) for key, path in files[corpus].items() if key != "names"}
        identity = {
            "identity_version": IDENTITY_VERSION,
            "code": __version__,
            "model": model,
            **_settings_identity(model, given, where, once),
            "data": contents,
            "reading": reading,
            "tune": tune,
        }
        members = tuple(cells[member, corpus, seed].key for member in named[system])
        if members:
            identity["members"] = list(members)
        test = str(files[corpus]["test"])
        key = key_of(identity)
        cells[system, corpus, seed] = Cell(
            system, corpus, seed, values, test, tune, settings.ks(), identity, key, members
        )
    return [cells[triple] for triple in triples]


def key_of(identity: Mapping[str, Any]) -> str:
    """Short name of an identity."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_LENGTH]


def content_digest(path: Path) -> str:
    """SHA-256 (hex) of a file, or of the names and contents of all files of a folder."""
    if path.is_dir():
        inside = sorted(found for found in path.rglob("*") if found.is_file())
        listed = [f"{found.relative_to(path).as_posix()}\0{content_digest(found)}\n" for found in inside]
        return hashlib.sha256("".join(listed).encode("utf-8", "surrogatepass")).hexdigest()
    return sha256(path)


def data_path(name: str, folder: str | None) -> Path:
    """Where a data file is: in the package's sample, or below ``folder``.

    >>> data_path("sample:train.jsonl", "elsewhere").name
    'train.jsonl'
    """
    if name.startswith(SAMPLE):
        import taxotext.sample

        return Path(taxotext.sample.__path__[0]) / name.removeprefix(SAMPLE)
    return (Path(folder or ".") / name).absolute()


def _data_sections(
    settings: ExperimentSettings, where: str
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, str | None]]]:
    """The data section and the paths of the files of each corpus; what is not there is reported together."""
    sections: dict[str, dict[str, Any]] = {}
    files: dict[str, dict[str, str | None]] = {}
    problems = []
    for name, corpus in settings.corpora.items():
        files[name] = {}
        for key in DATA_FILES:
            given = getattr(corpus, key)
            path = None if given is None else data_path(given, settings.data_folder)
            files[name][key] = None if path is None else str(path)
            if path is not None and not path.exists():
                problems.append(f"corpora.{name}.{key}: {path}: no such file.")
        section = corpus.model_dump(mode="json", include=set(DataSettings.model_fields))
        sections[name] = {**section, **{key: path for key, path in files[name].items() if key != "test"}}
    if problems:
        advice = "" if settings.data_folder else " Relative paths start where the command runs; --data names a folder."
        raise ConfigError(f"{where}: {counted(len(problems), 'file')} cannot be read.{advice}", problems)
    return sections, files


def _settings_identity(
    model: str, given: Mapping[str, Any], where: str, digest: Callable[[Path], str]
) -> dict[str, Any]:
    """The complete settings, defaults included, and the contents of files that they name.

    Where it is computed does not count: device and threads, and how often checkpoints are written.
    """
    settings = parse_settings(find(model).Settings, given, where)
    values = settings.model_dump(mode="json", exclude={"runtime": {"device", "threads"}})
    if isinstance(values.get("training"), dict):
        values["training"].pop("checkpoint_minutes", None)
    contents = {}
    for key, value, mark in named_files(settings):
        try:
            contents[key] = digest(mark.find(value))
        except OSError:
            continue  # no file: the name of an encoder on the hub, say
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}", error.problems) from None
    return {"settings": values, "files": contents}
