"""Models by name, and folders that are replaced while requests are answered."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import httpx
import pytest

import taxotext
from serving.client import serving
from taxotext.errors import ConfigError, ModelFolderError
from taxotext.serving import models
from taxotext.serving.metrics import Metrics
from taxotext.serving.models import Models, version_of

LABELS = ("cat", "dog")


def save(folder: Path, label: str) -> None:
    """A model that gives all texts one label."""
    model = taxotext.Classifier("linear", features__min_documents=1)
    model.fit(["a b", "b c", "c a"] * 3, [[label]] * 9, label_ids=None, tune=False)
    model.save(folder, overwrite=True)


def test_a_replaced_folder_answers_and_no_request_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    save(folder, "cat")
    with serving(folder, watch=0.02) as client:
        statuses, found, stop = set[int](), list[str](), threading.Event()

        def ask() -> None:
            while not stop.is_set():
                response = client.texts("a b c", top_k=1)
                statuses.add(response.status_code)
                found.append(response.json()["results"][0]["labels"][0]["id"])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for label in ("dog", "cat", "dog"):
            client.until(lambda: len(found) > 10)
            save(folder, label)
            client.until(lambda wanted=label: found[-1] == wanted)  # type: ignore[misc]
        stop.set()
        for thread in threads:
            thread.join(30)
        assert statuses == {200}
        assert set(found) == {"cat", "dog"}


def test_new_thresholds_of_tune_are_taken_too(model: Path) -> None:
    with serving(model, watch=0.02) as client:
        before = set(_ids(client.texts("the printer is broken")))
        assert before
        tuned = taxotext.load(model)
        tuned.decoding = tuned.decoding.model_copy(update={"exclude": tuple(before)})
        tuned.update(model)
        client.until(lambda: not before & set(_ids(client.texts("the printer is broken"))))


def _ids(response: httpx.Response) -> list[str]:
    return [row["id"] for row in response.json()["results"][0]["labels"]]


def test_a_damaged_new_version_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    save(folder, "cat")
    with serving(folder, watch=0.02) as client:
        (folder / "taxonomy.json").write_text("{", encoding="utf-8")
        client.until(lambda: "problem" in client.get("/models").json()["models"][0])
        assert "taxonomy.json" in client.get("/models").json()["models"][0]["problem"]
        assert client.texts("a b").status_code == 200
        save(folder, "dog")
        client.until(lambda: "problem" not in client.get("/models").json()["models"][0])
        assert client.texts("a b", top_k=1).json()["results"][0]["labels"][0]["id"] == "dog"


def test_whatever_goes_wrong_with_a_new_version_the_folder_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "m"
    save(folder, "cat")
    with serving(folder, watch=0.02) as client:

        def unreadable(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", str(folder / "weights.safetensors"))

        with monkeypatch.context() as patch:
            patch.setattr(models, "load", unreadable)
            save(folder, "dog")
            client.until(lambda: "problem" in client.get("/models").json()["models"][0])
        assert "weights.safetensors" in client.get("/models").json()["models"][0]["problem"]
        assert client.texts("a b").status_code == 200
        save(folder, "dog")
        client.until(lambda: "problem" not in client.get("/models").json()["models"][0])
        assert client.texts("a b", top_k=1).json()["results"][0]["labels"][0]["id"] == "dog"
    assert [record.exc_info is not None for record in caplog.records if "cannot be read" in record.message] == [True]


def test_a_folder_that_is_gone_for_a_while_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    save(folder, "cat")
    with serving(folder, watch=0.02) as client:
        before = client.get("/models").json()
        shutil.move(folder, tmp_path / "aside")
        threading.Event().wait(0.2)
        assert client.texts("a b").status_code == 200
        shutil.move(tmp_path / "aside", folder)
        threading.Event().wait(0.2)
        assert client.get("/models").json() == before


def test_evaluating_a_model_does_not_read_it_again(tmp_path: Path) -> None:
    save(tmp_path / "m", "cat")
    before = version_of(tmp_path / "m")
    (tmp_path / "m" / "metrics.json").write_text("{}", encoding="utf-8")
    assert version_of(tmp_path / "m") == before
    (tmp_path / "m" / "decoding.json").write_text("{}", encoding="utf-8")
    assert version_of(tmp_path / "m") != before
    assert version_of(tmp_path / "none") == ""


def test_a_model_that_cannot_be_read_at_the_start_ends_the_server(model: Path) -> None:
    (model / "decoding.json").write_text("{", encoding="utf-8")
    with serving(model) as client:
        assert isinstance(client.service.models.failure, ModelFolderError)
        assert "decoding.json" in str(client.service.models.failure)


def test_a_server_whose_model_fails_in_any_other_way_ends_too(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "load", lambda *_, **__: 1 / 0)
    with serving(model) as client:
        client.until(lambda: client.service.models.failure is not None)
        assert isinstance(client.service.models.failure, ZeroDivisionError)


def test_names_are_those_of_folders_or_given(sample_model: Path, tmp_path: Path) -> None:
    def names(*given: object) -> list[str]:
        return [served.name for served in Models([str(one) for one in given], {}, Metrics()).all]

    assert names(sample_model, f"b={sample_model}") == ["model", "b"]
    odd = Path(shutil.copytree(sample_model, tmp_path / "run=3"))
    with pytest.raises(ConfigError, match="is not a valid name"):
        names(odd)
    assert names(f"three={odd}") == ["three"]
    with pytest.raises(ConfigError, match=r"is called 'model' too; give it another name with model-2="):
        names(sample_model, sample_model)
    with pytest.raises(ModelFolderError, match="no such model folder"):
        names(tmp_path / "none")
    with pytest.raises(ModelFolderError, match="is not a model folder"):
        names(tmp_path)
    with pytest.raises(ConfigError, match="is not a valid name"):
        names(f"a/b={sample_model}")
