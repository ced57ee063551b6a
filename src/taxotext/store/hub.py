"""Model folders on the Hugging Face hub: JSON and safetensors go there and come back, nothing that comes is run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taxotext import __version__
from taxotext.composition.base import System
from taxotext.errors import HubError
from taxotext.files import write_text_atomically
from taxotext.messages import first_line
from taxotext.store.card import model_card
from taxotext.store.folder import save_folder
from taxotext.store.manifest import Manifest, is_model_config

FETCHED = ("*.json", "*.safetensors", "*.cbor", "*.onnx")
"""What is taken from a repository: no code, no pickles. CBOR, the data format of omikuji, holds plain values too; what
an ONNX graph may hold is checked before it is loaded (:mod:`taxotext.files.onnx_files`)."""
CONFIG = "config.json"
LOG_IN = "Log in with `hf auth login`, or set the environment variable HF_TOKEN."


def push(
    system: System,
    manifest: Manifest,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str | None = None,
    revision: str | None = None,
) -> str:
    """Upload a model as the content of a repository, which is created when it is missing.

    JSON and safetensors files of an earlier model that the new one lacks are removed there; other files stay.

    Args:
        system: fitted.
        manifest: of the model; its recorded evaluations become the ``model-index`` of the card.
        repo_id: ``owner/name``, or ``name`` for the owner of the token.
        private: visibility; None: as it is, or the owner's default for a new repository.
        token: None: the one that ``hf auth login`` or HF_TOKEN left.
        commit_message: None: a sentence that names the system.
        revision: branch, created when it is missing; None: main.

    Returns:
        The address of the commit.

    Raises:
        HubError: no token, no right to write, no connection, or the repository holds another kind of model or is
            public although ``private`` was asked for.
    """
    import huggingface_hub

    token = token or huggingface_hub.get_token()
    if token is None:
        raise HubError(f"{repo_id}: pushing to the hub needs a token. {LOG_IN}")
    api = huggingface_hub.HfApi(token=token, library_name="taxotext", library_version=__version__)
    with tempfile.TemporaryDirectory(prefix="taxotext-") as holder:
        folder = Path(holder) / "model"
        save_folder(folder, system, manifest)
        with _sentences(repo_id, revision):
            repo_id = str(api.create_repo(repo_id, private=private, exist_ok=True).repo_id)
            if private and not api.model_info(repo_id).private:
                raise HubError(
                    f"{repo_id}: exists and is public; nothing was pushed. Make it private in its settings on the "
                    "hub, or choose another name."
                )
            if revision is not None:
                api.create_branch(repo_id, branch=revision, exist_ok=True)
            there = list(api.list_repo_files(repo_id, revision=revision))
            if CONFIG in there and not is_model_config(Path(api.hf_hub_download(repo_id, CONFIG, revision=revision))):
                raise HubError(
                    f"{repo_id}: holds a model of another library (its config.json has no format_version) and is not "
                    "replaced; choose another name."
                )
            title = repo_id.rpartition("/")[2]
            card = model_card(title, system, manifest, hub_name=repo_id, revision=revision)
            write_text_atomically(folder / "README.md", card)
            kept = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                revision=revision,
                commit_message=commit_message or f"A {system.name} model of Taxotext {__version__}",
                allow_patterns=[*FETCHED, "README.md"],
                delete_patterns=[name for name in there if _is_fetched_name(name) and name not in kept] or None,
            )
            return str(commit.commit_url)


def fetch(
    repo_id: str, *, revision: str | None = None, token: str | None = None, cache_dir: str | Path | None = None
) -> Path:
    """Download a model into the hub's cache and return its folder; what is in the cache is not fetched again.

    ``config.json`` comes first, so that a repository that is not a Taxotext model costs one small file; the rest comes
    from the same commit.

    Args:
        repo_id: ``owner/name``.
        revision: branch, tag or commit; None: main.
        token: for private repositories; None: the one that ``hf auth login`` or HF_TOKEN left.
        cache_dir: None: the hub's usual cache.

    Raises:
        HubError: there is no such repository or revision, it is not a Taxotext model, or there is no connection.
    """
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    common: dict[str, Any] = {"token": token, "cache_dir": cache_dir, "library_name": "taxotext"}
    with _sentences(repo_id, revision):
        try:
            config = Path(huggingface_hub.hf_hub_download(repo_id, CONFIG, revision=revision, **common))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            raise HubError(f"{repo_id}: is not a Taxotext model (it has no config.json).") from None
        if not is_model_config(config):
            raise HubError(f"{repo_id}: is not a Taxotext model (its config.json has no format_version).")
        # Files lie in snapshots/<commit>: a push in between must not mix two models.
        commit = config.parent.name
        return Path(huggingface_hub.snapshot_download(repo_id, revision=commit, allow_patterns=list(FETCHED), **common))


def _is_fetched_name(name: str) -> bool:
    """Whether a file of a repository belongs to a model: those of members lie in folders of their own."""
    return re.fullmatch(r"(members/\d+/)*[^/]+\.(json|safetensors|cbor|onnx)", name) is not None


@contextmanager
def _sentences(repo_id: str, revision: str | None) -> Iterator[None]:
    """What the hub's library raises, as sentences."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError:
        raise HubError(
            f"{repo_id!r}: is neither a folder here nor a name on the hub; names have the form owner/name."
        ) from None
    except errors.GatedRepoError as error:
        raise HubError(f"{repo_id}: asks for an agreement first; accept it on its page on the hub. {LOG_IN}") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"{repo_id}: there is no such folder here and no such model on the hub, or it is private and the token "
            f"may not read it. {LOG_IN}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{repo_id}: has no revision {revision!r}; name a branch, a tag or a commit.") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise HubError(
            f"{repo_id}: is not a folder here, is not in the cache of the hub{_of(revision)}, and the hub cannot be "
            "reached (no connection, or HF_HUB_OFFLINE is set)."
        ) from error
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in {401, 403}:
            raise HubError(f"{repo_id}: the token has no right to do this on the hub. {LOG_IN}") from error
        raise HubError(f"{repo_id}: the hub answered with an error ({first_line(error)}); try again later.") from error
    except Exception as error:
        if isinstance(error, HubError) or not _is_of_the_connection(error):
            raise
        raise HubError(f"{repo_id}: the hub cannot be reached ({first_line(error)}); try again later.") from error


def _is_of_the_connection(error: Exception) -> bool:
    """Errors of the HTTP library, whichever the hub's library uses, and of sockets and files."""
    return isinstance(error, OSError) or any(kind.__name__ == "HTTPError" for kind in type(error).__mro__)


def _of(revision: str | None) -> str:
    return "" if revision is None else f" at revision {revision!r}"
