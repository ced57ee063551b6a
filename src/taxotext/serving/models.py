"""The models of a server: read in the background, and swapped when their folder is replaced."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from taxotext.api import load
from taxotext.errors import ConfigError, ModelFolderError, TaxotextError, nearest
from taxotext.files import named, recover_folder
from taxotext.serving.answers import Choice, Loaded, answers
from taxotext.serving.limits import Refused
from taxotext.serving.metrics import Metrics
from taxotext.store.fingerprint import ABOUT
from taxotext.store.manifest import is_model_folder

logger = logging.getLogger("taxotext.serving")

State = Literal["loading", "ready"]
READING_TRIES = 3
"""How often a folder is read that was replaced in the meantime."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RETRY_LOADING = 2
"""Seconds after which a client may ask again for a model that is being loaded."""


class Served:
    """One model by name.

    Attributes:
        name, folder: as given.
        current: what answers now; None while it is loaded for the first time.
        loaded_at: seconds since 1970.
        problem: why the latest version of the folder could not be read; the one before answers on.
        tried: the version that was read last, with success or without.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.current: Loaded | None = None
        self.loaded_at: float | None = None
        self.problem: str | None = None
        self.tried = ""
        self._looked = ""

    def settled(self) -> str:
        """The version of the folder, if it is a new one that was the same at the last look; else an empty text.

        A folder that changes between two looks may be half copied.
        """
        found = version_of(self.folder)
        before, self._looked = self._looked, found
        return found if found == before and found != self.tried else ""

    @property
    def state(self) -> State:
        """Whether it answers."""
        return "loading" if self.current is None else "ready"


class Models:
    """All models of a server.

    Args:
        given: ``folder`` or ``name=folder``.
        runtime: settings of :func:`taxotext.load`.
        metrics: where readings are counted.
        watch: seconds between two looks at the folders; None: they are read once.

    Raises:
        ConfigError: two models have one name, or a name cannot stand in an address.
        ModelFolderError: a folder is not a model folder.
    """

    def __init__(
        self, given: Sequence[str], runtime: Mapping[str, Any], metrics: Metrics, watch: float | None = None
    ) -> None:
        self._runtime, self._metrics, self._watch = dict(runtime), metrics, watch
        self._served = _by_name(given)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    @property
    def all(self) -> list[Served]:
        """In the order given; the first answers where no model is named."""
        return list(self._served.values())

    @property
    def ready(self) -> bool:
        """Whether all answer."""
        return all(served.current is not None for served in self.all)

    def served(self, name: str | None) -> Served:
        """The model of a name; of none: the first.

        Raises:
            Refused: 404.
        """
        if name is None:
            return self.all[0]
        found = self._served.get(name)
        if found is None:
            known = ", ".join(self._served)
            raise Refused(404, f"No model is named {name!r}.{nearest(name, self._served)} Known: {known}.")
        return found

    def loaded(self, name: str | None) -> tuple[Served, Loaded]:
        """The model of a name, in memory.

        Raises:
            Refused: 404; 503 while it is loaded.
        """
        served = self.served(name)
        current = served.current
        if current is None:
            raise Refused(
                503, f"The model {served.name!r} is still being loaded; send the request again.", RETRY_LOADING
            )
        return served, current

    def start(self, on_failure: Callable[[], None]) -> None:
        """Read all folders in the background, then watch them.

        Args:
            on_failure: called when a folder cannot be read the first time; ``failure`` says why.
        """
        self._thread = threading.Thread(target=self._run, args=(on_failure,), name="taxotext-models", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop to watch."""
        self._stop.set()

    def _run(self, on_failure: Callable[[], None]) -> None:
        for served in self.all:
            try:
                self._read(served)
            except Exception as error:  # whatever it was: the process ends with it instead of answering 503 for ever
                self.failure = error
                on_failure()
                return
        while self._watch is not None and not self._stop.wait(self._watch):
            for served in self.all:
                if served.settled():
                    self._read_again(served)

    def _read_again(self, served: Served) -> None:
        try:
            self._read(served)
        except Exception as error:  # files that vanish or may not be read, no memory: this thread goes on looking
            served.problem = str(error) or type(error).__name__
            own = None if isinstance(error, TaxotextError) else error
            sentence = "%s: the new version cannot be read, the one before answers on: %s"
            logger.warning(sentence, served.name, served.problem, exc_info=own)
        else:
            logger.info("%s: the folder was replaced; the new version answers now.", served.name)

    def _read(self, served: Served) -> None:
        """Read a folder and let it answer from now on; requests that came before keep the model that they came for."""
        try:
            for _ in range(READING_TRIES):
                served.tried = version_of(served.folder)
                loaded = Loaded(load(served.folder, **self._runtime), served.tried)
                if version_of(served.folder) == served.tried:
                    break
            else:
                raise ModelFolderError(f"{served.folder}: changed while it was read, {READING_TRIES} times in a row.")
            warm = "1:1" if loaded.classifier.system.reads_vectors() else "a text"
            answers(loaded, [warm], [Choice()])  # the first text of a network takes much longer than later ones
        except Exception:  # whatever it was, it is counted and passed on
            self._metrics.loads.labels(served.name, "failed").inc()
            raise
        served.current, served.loaded_at, served.problem = loaded, time.time(), None
        self._metrics.loads.labels(served.name, "read").inc()


def version_of(folder: Path) -> str:
    """What distinguishes the content of a folder from another one that takes its place; empty where there is none.

    Card and metrics do not count: evaluating a model does not change its answers.
    """
    digest = hashlib.sha256()
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in ABOUT:
                found = path.stat()
                digest.update(os.fsencode(path))
                digest.update(f"\0{found.st_ino}\0{found.st_mtime_ns}\0{found.st_size}\n".encode())
    except OSError:  # it is being replaced
        return ""
    return digest.hexdigest() if (folder / "config.json").is_file() else ""


def _by_name(given: Sequence[str]) -> dict[str, Served]:
    found: dict[str, Served] = {}
    for one in given:
        name, equals, place = one.partition("=")
        if not equals or Path(one).is_dir():  # a folder may have = in its name
            place = one
            name = Path(os.path.abspath(one)).name
        folder = named(Path(place))
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is not a valid name of a model: addresses contain it, so it has letters, digits, and . _ - "
                f"alone; give one with tickets={place}."
            )
        if name in found:
            raise ConfigError(
                f"{place}: {found[name].folder} is called {name!r} too; give it another name with {name}-2={place}."
            )
        recover_folder(folder)
        if not is_model_folder(folder):
            what = "is not a model folder" if folder.exists() else "there is no such model folder"
            raise ModelFolderError(f"{place}: {what}; name one that `taxotext train` wrote.")
        found[name] = Served(name, folder)
    return found
