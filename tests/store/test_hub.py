"""The hub without a network: a hub in memory behind the hub's own HTTP client, and its cache on the disk."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.repocard import ModelCard

import taxotext
from command import Command
from taxotext import Classifier
from taxotext.errors import HubError, ModelFolderError, TaxotextError
from taxotext.store import record_evaluation
from tiny import tiny_corpus

httpx: Any = __import__("httpx2" if HfHubHTTPError.__mro__[1].__module__.startswith("httpx2") else "httpx")

NAME = "acme/tickets"


class Hub:
    """Repositories of files at branches, spoken to over HTTP (reading) or as ``HfApi`` (writing)."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.answers: dict[str, int] = {}
        self.reachable = True
        self.fetched: list[str] = []
        self.commits: list[str] = []

    # -- reading ---------------------------------------------------------------------------------------------------

    def answer(self, request: Any) -> Any:
        if not self.reachable:
            raise httpx.ConnectError("no route to host", request=request)
        parts = request.url.path.strip("/").split("/")
        is_tree = parts[:2] == ["api", "models"]
        owner, name, verb, revision, *path = parts[2:] if is_tree else parts
        repo = f"{owner}/{name}"
        if repo in self.answers:
            return httpx.Response(self.answers[repo], request=request, headers={"X-Error-Message": "as it was told"})
        if not any(known == repo for known, _ in self.files):
            return self.error(request, 401, "RepoNotFound")
        branch = next(
            (b for r, b in self.files if r == repo and revision in {b, commit_of(self.files[r, b])}),
            None,
        )
        if branch is None:
            return self.error(request, 404, "RevisionNotFound")
        files = self.files[repo, branch]
        if is_tree:
            assert verb == "tree"
            entries = [
                {"type": "file", "path": each, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for each, content in files.items()
            ]
            return httpx.Response(200, request=request, json=entries)
        assert verb == "resolve"
        wanted = "/".join(path)
        if wanted not in files:
            return self.error(request, 404, "EntryNotFound", commit_of(files))
        content = files[wanted]
        headers = {
            "X-Repo-Commit": commit_of(files),
            "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
            "Content-Length": str(len(content)),
        }
        if request.method == "HEAD":
            return httpx.Response(200, request=request, headers=headers)
        self.fetched.append(wanted)
        return httpx.Response(200, request=request, headers=headers, content=content)

    @staticmethod
    def error(request: Any, status: int, code: str, commit: str = "") -> Any:
        return httpx.Response(status, request=request, headers={"X-Error-Code": code, "X-Repo-Commit": commit})

    # -- writing ---------------------------------------------------------------------------------------------------

    def api(self, **arguments: Any) -> Any:
        assert arguments["token"] == "secret"
        return SimpleNamespace(
            create_repo=self.create_repo,
            model_info=lambda repo: SimpleNamespace(private=self.private[repo]),
            create_branch=self.create_branch,
            list_repo_files=lambda repo, revision: list(self.files[repo, revision or "main"]),
            hf_hub_download=huggingface_hub.hf_hub_download,
            upload_folder=self.upload_folder,
        )

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> Any:
        if repo_id in self.answers:
            request = httpx.Request("POST", "https://huggingface.co/api/repos/create")
            raise HfHubHTTPError("refused", response=httpx.Response(self.answers[repo_id], request=request))
        assert exist_ok
        repo_id = repo_id if "/" in repo_id else f"acme/{repo_id}"
        self.private.setdefault(repo_id, bool(private))
        self.files.setdefault((repo_id, "main"), {})
        return SimpleNamespace(repo_id=repo_id)

    def create_branch(self, repo_id: str, *, branch: str, exist_ok: bool) -> None:
        assert exist_ok
        self.files.setdefault((repo_id, branch), dict(self.files[repo_id, "main"]))

    def upload_folder(self, **given: Any) -> Any:
        files = self.files[given["repo_id"], given["revision"] or "main"]
        for name in list(files):
            if any(fnmatch.fnmatch(name, pattern) for pattern in given["delete_patterns"] or []):
                del files[name]
        for path in Path(given["folder_path"]).iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in given["allow_patterns"]):
                files[path.name] = path.read_bytes()
        self.commits.append(given["commit_message"])
        return SimpleNamespace(commit_url=f"https://huggingface.co/{given['repo_id']}/commit/{commit_of(files)}")


def commit_of(files: dict[str, bytes]) -> str:
    digest = hashlib.sha1()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name])
    return digest.hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub, an empty cache, and a token."""
    made = Hub()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "HfApi", made.api)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    monkeypatch.setattr("time.sleep", lambda _: None)  # the client's pauses between tries
    huggingface_hub.set_client_factory(lambda: httpx.Client(transport=httpx.MockTransport(made.answer)))
    yield made
    huggingface_hub.close_session()
    huggingface_hub.set_client_factory(lambda: httpx.Client(follow_redirects=True, timeout=None))


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier("linear", features__min_documents=1, runtime__threads=1).fit(tiny_corpus())


TEXTS = ["the cat purrs", "a loaf of rye", "trout and dog"]


def test_what_is_pushed_comes_back(fitted: Classifier, hub: Hub) -> None:
    address = fitted.push_to_hub(NAME)
    assert address == f"https://huggingface.co/{NAME}/commit/{commit_of(hub.files[NAME, 'main'])}"
    assert hub.commits == [f"A linear model of Taxotext {taxotext.__version__}"]
    loaded = Classifier.from_pretrained(NAME)
    assert (loaded.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    assert loaded.manifest.held_out is not None


def test_only_files_of_plain_values_are_fetched(fitted: Classifier, hub: Hub, tmp_path: Path) -> None:
    fitted.push_to_hub(NAME)
    proof = tmp_path / "it ran"
    files = hub.files[NAME, "main"]
    files["modeling.py"] = f"open({str(proof)!r}, 'w')".encode()
    files["weights.bin"] = files["weights.pkl"] = pickle.dumps(Bomb(str(proof)))
    files["tree0.cbor"] = b"\x80"
    Classifier.from_pretrained(NAME)
    assert sorted(hub.fetched) == sorted(name for name in files if name.endswith((".json", ".safetensors", ".cbor")))
    assert not proof.exists()


class Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_what_is_in_the_cache_is_not_fetched_again_and_is_enough_without_a_network(
    fitted: Classifier, hub: Hub
) -> None:
    fitted.push_to_hub(NAME)
    Classifier.from_pretrained(NAME)
    hub.fetched.clear()
    Classifier.from_pretrained(NAME)
    hub.reachable = False
    assert Classifier.from_pretrained(NAME).predict(TEXTS) == fitted.predict(TEXTS)
    assert hub.fetched == []


def test_a_push_in_between_does_not_mix_two_models(
    fitted: Classifier, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.push_to_hub(NAME)
    hub.files[NAME, "before"] = dict(hub.files[NAME, "main"])  # a commit stays reachable when the branch moves on
    snapshot = huggingface_hub.snapshot_download

    def late(*arguments: Any, **keywords: Any) -> str:
        hub.files[NAME, "main"]["taxonomy.json"] = b"{}"
        return str(snapshot(*arguments, **keywords))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", late)
    assert Classifier.from_pretrained(NAME).predict(TEXTS) == fitted.predict(TEXTS)


def test_revisions_are_kept_apart(fitted: Classifier, hub: Hub) -> None:
    other = Classifier("linear", features__min_documents=1, classifier__loss="logistic").fit(tiny_corpus())
    fitted.push_to_hub(NAME)
    other.push_to_hub(NAME, revision="logistic", commit_message="the other loss")
    assert hub.commits[-1] == "the other loss"
    losses = [Classifier.from_pretrained(NAME, revision=r).settings_().classifier.loss for r in (None, "logistic")]  # type: ignore[attr-defined]
    assert losses == ["squared_hinge", "logistic"]
    card = hub.files[NAME, "logistic"]["README.md"].decode()
    assert f'taxotext.Classifier.from_pretrained("{NAME}", revision="logistic")' in card


def test_files_of_an_earlier_model_are_removed_and_other_files_stay(fitted: Classifier, hub: Hub) -> None:
    fitted.push_to_hub(NAME)
    files = hub.files[NAME, "main"]
    files.update(
        {
            "encoder.json": b"{}",
            "old.safetensors": b"",
            "tree0.cbor": b"",
            "LICENSE": b"mine",
            "extra/notes.json": b"{}",
        }
    )
    fitted.push_to_hub(NAME)
    assert {"LICENSE", "extra/notes.json", "config.json"} <= set(files)
    assert not {"encoder.json", "old.safetensors", "tree0.cbor"} & set(files)


def test_a_folder_of_that_name_wins(
    fitted: Classifier, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted.save(NAME)
    hub.reachable = False
    assert Classifier.from_pretrained(NAME, threads=1).predict(TEXTS) == fitted.predict(TEXTS)


def test_runtime_settings_are_taken_and_checked(fitted: Classifier, hub: Hub) -> None:
    fitted.push_to_hub(NAME)
    assert Classifier.from_pretrained(NAME, threads=3).settings_().runtime.threads == 3
    with pytest.raises(TaxotextError, match="thread"):
        Classifier.from_pretrained(NAME, thread=3)


# -- mistakes ------------------------------------------------------------------------------------------------------


def refused(name: str, **options: Any) -> str:
    with pytest.raises(HubError) as error:
        Classifier.from_pretrained(name, **options)
    return str(error.value)


def test_what_is_not_there_is_a_sentence(fitted: Classifier, hub: Hub) -> None:
    assert refused("acme/nothing").startswith(
        "acme/nothing: there is no such folder here and no such model on the hub, or it is private"
    )
    fitted.push_to_hub(NAME)
    assert refused(NAME, revision="v9") == f"{NAME}: has no revision 'v9'; name a branch, a tag or a commit."
    assert refused("models/news/last") == (
        "'models/news/last': is neither a folder here nor a name on the hub; names have the form owner/name."
    )


def test_a_model_of_another_library_costs_one_file(hub: Hub) -> None:
    hub.files["acme/bert", "main"] = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x" * 1000}
    assert refused("acme/bert") == "acme/bert: is not a Taxotext model (its config.json has no format_version)."
    assert hub.fetched == ["config.json"]
    hub.files["acme/text", "main"] = {"README.md": b"hello"}
    assert refused("acme/text") == "acme/text: is not a Taxotext model (it has no config.json)."


def test_a_newer_format_and_damage_are_the_sentences_of_folders(fitted: Classifier, hub: Hub) -> None:
    fitted.push_to_hub(NAME)
    files = hub.files[NAME, "main"]
    files["config.json"] = json.dumps({**json.loads(files["config.json"]), "format_version": 99}).encode()
    with pytest.raises(ModelFolderError, match="has format version 99"):
        Classifier.from_pretrained(NAME)


def test_no_connection_is_a_sentence(hub: Hub) -> None:
    hub.reachable = False
    assert refused(NAME) == (
        f"{NAME}: is not a folder here, is not in the cache of the hub, and the hub cannot be reached "
        "(no connection, or HF_HUB_OFFLINE is set)."
    )


@pytest.mark.parametrize(
    ("status", "said"), [(403, "the token has no right to do this"), (500, "the hub answered with an error")]
)
def test_refusals_of_the_hub_are_sentences_when_pushing(status: int, said: str, fitted: Classifier, hub: Hub) -> None:
    hub.answers[NAME] = status
    with pytest.raises(HubError, match=said):
        fitted.push_to_hub(NAME)


def test_pushing_needs_a_token(fitted: Classifier, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(HubError, match=r"acme/tickets: pushing to the hub needs a token\. Log in with `hf auth login`"):
        fitted.push_to_hub(NAME)
    fitted.push_to_hub(NAME, token="secret")
    assert (NAME, "main") in hub.files


def test_what_should_be_private_is_never_pushed_where_all_can_read_it(fitted: Classifier, hub: Hub) -> None:
    fitted.push_to_hub(NAME, private=True)
    assert hub.private[NAME]
    hub.private[NAME] = False
    before = dict(hub.files[NAME, "main"])
    with pytest.raises(HubError, match=r"exists and is public; nothing was pushed"):
        fitted.push_to_hub(NAME, private=True)
    assert hub.files[NAME, "main"] == before


def test_a_model_of_another_library_is_never_replaced(fitted: Classifier, hub: Hub) -> None:
    files = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"years of work"}
    hub.files[NAME, "main"], hub.private[NAME] = dict(files), False
    with pytest.raises(HubError, match=r"acme/tickets: holds a model of another library"):
        fitted.push_to_hub(NAME)
    assert hub.files[NAME, "main"] == files


def test_a_classifier_that_is_not_fitted_cannot_be_pushed(hub: Hub) -> None:
    with pytest.raises(TaxotextError, match="not fitted"):
        Classifier("linear").push_to_hub(NAME)


# -- the real cache, in a process of its own -----------------------------------------------------------------------


def test_a_snapshot_in_the_cache_is_loaded_by_an_offline_process(fitted: Classifier, tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "cache" / "models--acme--tickets"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    (repo / "blobs").mkdir()
    fitted.save(tmp_path / "model")
    for path in (tmp_path / "model").iterdir():  # as the hub's library lays it out: links to blobs
        blob = repo / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(os.path.relpath(blob, snapshot))
    code = f"""
import json, sys, taxotext
from taxotext.errors import HubError
model = taxotext.Classifier.from_pretrained("acme/tickets", cache_dir={str(tmp_path / "cache")!r})
try:
    taxotext.Classifier.from_pretrained("acme/other", cache_dir={str(tmp_path / "cache")!r})
except HubError as error:
    said = str(error)
print(json.dumps([model.predict({TEXTS!r}), said, "torch" in sys.modules]))
"""
    source = Path(taxotext.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    labels, said, torch = json.loads(done.stdout)
    assert labels == fitted.predict(TEXTS)
    assert "HF_HUB_OFFLINE is set" in said
    assert not torch


# -- the card ------------------------------------------------------------------------------------------------------


def test_the_card_is_read_by_the_parser_of_the_hub(fitted: Classifier, hub: Hub, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    model = taxotext.load(tmp_path / "model")
    for name, metrics in {
        "test: 1.jsonl": {"micro_f1": 0.81234, "set_accuracy": 1, "violation_rate": 0.0, "ndcg@5": float("nan")},
        'näh "x" #2.csv': {"macro_f1": 0.5},
    }.items():
        fingerprint = {"data_fingerprint": f"{len(name):064d}"}
        record_evaluation(tmp_path / "model", model.system, model.manifest, name, {**metrics, **fingerprint})
    model.push_to_hub(NAME)
    card = ModelCard(hub.files[NAME, "main"]["README.md"].decode())
    assert card.data.library_name == "taxotext"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.tags == ["multi-label-classification", "hierarchical-classification", "linear"]
    assert card.data.model_name == "tickets"
    found = [
        (r.task_type, r.dataset_name, r.dataset_revision, r.metric_type, r.metric_name, r.metric_value, r.metric_args)
        for r in card.data.eval_results
    ]
    first = ("text-classification", "test: 1.jsonl", "0" * 16)
    assert found == [
        (*first, "f1", "micro_f1", 0.8123, {"average": "micro"}),
        (*first, "accuracy", "set_accuracy", 1.0, None),
        (*first, "violation_rate", "violation_rate", 0.0, None),
        ("text-classification", 'näh "x" #2.csv', "0" * 16, "f1", "macro_f1", 0.5, {"average": "macro"}),
    ]
    assert f'model = taxotext.Classifier.from_pretrained("{NAME}")' in card.text


def test_a_card_without_figures_is_read_too(fitted: Classifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    assert card.data.eval_results is None
    assert 'taxotext.load("path/of/this/folder")' in card.text


# -- commands ------------------------------------------------------------------------------------------------------


def test_push_and_pull(fitted: Classifier, hub: Hub, command: Command, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    pushed = command("push", "model", NAME, "--private", "--message", "first").ok()
    assert f"Pushed model: https://huggingface.co/{NAME}/commit/" in pushed.err
    assert hub.private[NAME]
    assert hub.commits == ["first"]
    assert "Wrote copy." in command("pull", NAME, "--output", "copy").ok().err
    for path in (tmp_path / "model").iterdir():
        if path.name != "README.md":
            assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes(), path.name
    hub.fetched.clear()
    command("pull", NAME, "--output", "copy").refused("copy: already exists")
    command("pull", NAME, "--output", "copy", "--overwrite").ok()
    command("pull", "acme/nothing", "--output", "other").refused("acme/nothing: there is no such folder here")
    command("push", "nothing", NAME).refused("nothing: there is no such model folder")
