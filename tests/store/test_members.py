"""Systems that are made of other systems: their folder holds a folder for each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

import taxotext
from taxotext import Classifier, Corpus
from taxotext.composition.base import System, SystemSettings
from taxotext.decoding import Decoding
from taxotext.errors import ModelFolderError
from taxotext.models import registry
from taxotext.models.saved import load_system
from taxotext.store import Manifest, read_folder, save_folder
from taxotext.store.hub import _is_fetched_name

TEXTS = ["cat", "dog", "cat dog", "rain"] * 5
LABELS = [["c"], ["d"], ["c", "d"], []] * 5


class Mean(System):
    """The mean of the scores of its members, which may lack labels."""

    name: ClassVar[str] = "mean_of_members"
    Settings: ClassVar[type[SystemSettings]] = SystemSettings
    recipe: ClassVar[str] = "direct"

    def scores(self, texts: Sequence[str], *, progress: Any = None) -> Iterator[Any]:
        total = np.zeros((len(texts), len(self.taxonomy)), np.float32)
        for member in self.members:
            columns = [self.taxonomy.index(label) for label in member.taxonomy.ids]
            found = [np.asarray(getattr(block, "scores", block)) for block in member.scores(texts)]
            total[:, columns] += np.concatenate(found) / len(self.members)
        yield total

    def save_parts(self, folder: Path) -> None:
        pass

    @classmethod
    def load_parts(cls, folder: Path, settings: Any, taxonomy: Any) -> Self:
        return cls(settings, taxonomy)

    def facts(self) -> dict[str, Any]:
        return {"parameters": sum(member.facts()["parameters"] for member in self.members)}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.Entry("mean_of_members", "a test", f"{__name__}:Mean")
    monkeypatch.setattr(registry, "BUILT_IN", (*registry.BUILT_IN, entry))
    monkeypatch.setattr(
        registry.Entry, "load", lambda self, load=registry.Entry.load: Mean if self == entry else load(self)
    )


def linear(texts: list[str], labels: list[list[str]], **settings: Any) -> System:
    return Classifier("linear", features={"min_documents": 1}, **settings).fit(texts, labels).system


def mean_of(*members: System) -> Mean:
    corpus = Corpus.from_lists(TEXTS, LABELS)
    system = Mean(SystemSettings(), corpus.taxonomy)
    system.members = members
    return system


@pytest.fixture
def place(tmp_path: Path) -> Path:
    only_cats = linear(["cat", "dog"] * 6, [["c"], []] * 6)
    inner = mean_of(linear(TEXTS, LABELS), only_cats)
    system = mean_of(inner, linear(TEXTS, LABELS, seed=5))
    save_folder(tmp_path / "mean", system, Manifest(Decoding(), seen=[10, 10]))
    return tmp_path / "mean"


def scores_of(system: System) -> Any:
    return np.concatenate(list(system.scores(["a cat", "dog", "sun"])))


def test_members_within_members_are_saved_and_read_with_their_own_labels(place: Path) -> None:
    found = sorted(path.relative_to(place).as_posix() for path in place.rglob("config.json"))
    assert found == [
        "config.json",
        "members/0/config.json",
        "members/0/members/0/config.json",
        "members/0/members/1/config.json",
        "members/1/config.json",
    ]
    # Labels are written where they are not those of the folder around.
    assert [path.relative_to(place).as_posix() for path in place.rglob("taxonomy.json")] == [
        "taxonomy.json",
        "members/0/members/1/taxonomy.json",
    ]
    system, _ = read_folder(place)
    assert [member.name for member in system.members] == ["mean_of_members", "linear"]
    assert system.members[0].members[1].taxonomy.ids == ("c",)
    assert system.members[1].settings.seed == 5
    assert "members | mean_of_members, linear" in (place / "README.md").read_text(encoding="utf-8")


def test_a_folder_with_members_predicts_as_before(place: Path) -> None:
    model = taxotext.load(place)
    whole, (inner, second) = scores_of(model.system), model.system.members
    expected = (scores_of(inner) + np.asarray(scores_of_member(second))) / 2
    assert np.allclose(whole, expected)
    model.save(place.with_name("again"))
    assert np.array_equal(scores_of(taxotext.load(place.with_name("again")).system), whole)


def scores_of_member(system: System) -> Any:
    return np.concatenate(
        [np.asarray(getattr(block, "scores", block)) for block in system.scores(["a cat", "dog", "sun"])]
    )


def test_a_saved_system_is_read_without_thresholds_and_metrics(place: Path) -> None:
    for name in ("decoding.json", "metrics.json", "README.md"):
        (place / name).unlink()
    system = load_system(place, {"threads": 1})
    assert [member.settings.runtime.threads for member in system.members] == [1, 1]
    with pytest.raises(ModelFolderError, match=r"decoding\.json: is missing"):
        taxotext.load(place)


def test_damaged_members_are_named(place: Path) -> None:
    config = place / "members/1/config.json"
    content = config.read_text(encoding="utf-8")
    config.write_text("{", encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"members/1/config\.json: is damaged"):
        taxotext.load(place)
    config.write_text(json.dumps({**json.loads(content), "labels_sha256": "0"}), encoding="utf-8")
    with pytest.raises(ModelFolderError, match=r"members/1: .*do not hold the same labels"):
        taxotext.load(place)
    shutil.rmtree(place / "members/0")
    with pytest.raises(ModelFolderError, match=r"members: holds 1; folders 0, 1, 2 \.\.\. are expected"):
        taxotext.load(place)


def test_members_within_members_end_somewhere(place: Path) -> None:
    deep = place / "members/1"
    for _ in range(4):
        shutil.copytree(place / "members/0", deep / "members/0", ignore=lambda *_: {"members"})
        deep = deep / "members/0"
    with pytest.raises(ModelFolderError, match=r"members within members, 4 deep"):
        taxotext.load(place)


def test_files_of_members_belong_to_a_model_on_the_hub() -> None:
    assert _is_fetched_name("members/0/members/12/weights.safetensors")
    assert not any(map(_is_fetched_name, ("members/x/config.json", "other/config.json", "members/0/code.py")))
