"""What a worker of a Ray cluster does, without a cluster."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from taxotext import __version__
from taxotext.errors import ConfigError, MissingExtraError
from taxotext.work import Workers, requests
from taxotext.work.ray_task import run_requests


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process knows the task ``strange``, and comes back to its folder."""
    monkeypatch.setitem(requests.TASKS, "strange", "strange:strange")
    monkeypatch.chdir(tmp_path)


def run(*whats: str, version: str = __version__, folder: str = ".", threads: int = 1) -> list[dict[str, Any]]:
    asked = [(what, "strange", {"what": what}) for what in whats]
    return run_requests(asked, threads, version, folder)


def test_a_mistake_and_an_error_of_the_program_leave_the_others_of_the_task_alone() -> None:
    mistake, bug, full, work = run("mistake", "bug", "full", "work")
    assert mistake["failure"] == "training.epochs: must be 1 or more."
    assert bug["failure"] == "an error inside the program: ZeroDivisionError: division by zero."
    assert full["failure"] == "/disk/fits/1.safetensors: No space left on device."
    assert work["report"]["process"] == os.getpid()
    assert work["failure"] == ""
    assert all(answer["seconds"] >= 0 for answer in (mistake, bug, full, work))


def test_torch_has_as_many_threads_as_the_task_has_cpus() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        run("work", threads=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_relative_names_begin_where_the_program_was_started(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    run("work", folder=str(tmp_path / "below"))
    assert Path.cwd() == tmp_path / "below"


def test_another_version_or_a_folder_that_is_not_shared_is_a_sentence_for_each_request() -> None:
    here = socket.gethostname()
    for answer in run("work", "bug", version="0.0.1"):
        assert answer["report"] is None
        assert answer["failure"] == (
            f"The machine {here} of the Ray cluster has taxotext {__version__}, not 0.0.1; install it there."
        )
    (answer,) = run("work", folder="/not/there")
    assert f"The machine {here} of the Ray cluster does not see the folder /not/there" in answer["failure"]
    assert "on a shared disk" in answer["failure"]


def test_without_ray_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"needs Ray; install it with `pip install 'taxotext\[ray\]'`"):
        Workers("ray").start(1, tmp_path)


def test_a_system_that_is_one_piece_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    from taxotext.api.runs import train_run
    from taxotext.progress import Silent

    for model in ("linear", "textcnn"):
        with pytest.raises(ConfigError, match=f"executor is 'ray', and {model} is trained as one piece; leave it out"):
            train_run(
                {"model": model, "data": {"train": "missing.jsonl"}},
                tmp_path / "model",
                workers=Workers("ray"),
                reporter=Silent(),
            )
