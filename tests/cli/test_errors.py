"""How the command line answers: sentences on stderr, exit codes, tracebacks only with --debug."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from command import SAMPLE, Command
from taxotext.cli import main
from taxotext.errors import ConfigError

PROCESS_ENVIRONMENT = {"PYTHONPATH": str(SAMPLE.parents[1]), "PATH": ""}


def break_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``taxotext config linear`` raise ``error``."""
    from taxotext.api import runs

    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr(runs, "default_config", fail)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian"], "taxotext: there is no command 'trian'. Did you mean 'train'? See `taxotext --help`."),
        (
            ["xyz"],
            "taxotext: there is no command 'xyz'. Known: train, status, search, tune, evaluate, compare, predict, "
            "explain, labels, report, serve, export, push, pull, config, data, models, experiment.",
        ),
        (["--versoin"], "there is no option '--versoin'. Did you mean '--version'?"),
        (["train", "--modle=linear"], "taxotext train: there is no option '--modle'. Did you mean '--model'?"),
        (["train", "-x"], "there is no option '-x'"),
        (["train", "--model"], "taxotext"),
        (["train", "--seed=x"], "taxotext train: invalid value for '--seed'"),
        (["train", "--seed=-1", "--train=x.jsonl", "--output=m"], "seed: input should be greater than or equal to 0"),
        (["data", "chekc"], "taxotext data: there is no command 'chekc'. Did you mean 'check'?"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], sentence: str, command: Command) -> None:
    outcome = command(*arguments)
    outcome.refused(sentence)
    assert "Usage:" not in outcome.err


@pytest.mark.parametrize("arguments", [[], ["data"], ["models"]])
def test_without_a_command_the_help_is_shown(arguments: list[str], command: Command) -> None:
    outcome = command(*arguments)
    assert outcome.code == 2
    assert "Commands:" in outcome.err


@pytest.mark.parametrize(
    "verb", ["train", "tune", "evaluate", "predict", "config", "data", "models", "data check", "models show"]
)
def test_every_command_has_help(verb: str, command: Command) -> None:
    for option in ("--help", "-h"):
        assert "Usage: taxotext " + verb in command(*verb.split(), option).ok().out


def test_a_mistake_of_the_user_is_raised_with_debug_only(command: Command) -> None:
    command("config", "bret").refused("there is no system 'bret'")
    with pytest.raises(ConfigError):
        main(["config", "bret", "--debug"])


def test_a_fault_of_the_program_is_called_one(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(RuntimeError("the flux capacitor"), monkeypatch)
    outcome = command("config", "linear")
    assert outcome.code == 1
    assert outcome.err == (
        "taxotext: an error inside the program, not yours: RuntimeError: the flux capacitor\n"
        "Run the command again with --debug and report what it shows.\n"
    )
    with pytest.raises(RuntimeError):
        main(["--debug", "config", "linear"])


def test_what_the_system_refuses_is_said_with_its_place(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(PermissionError(13, "Permission denied", "/secret"), monkeypatch)
    command("config", "linear").refused("taxotext: /secret: Permission denied. Check the disk, the folder and its")


def test_an_interrupt_is_said_and_ends_with_its_own_code(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    break_with(KeyboardInterrupt(), monkeypatch)
    outcome = command("config", "linear")
    assert outcome.code == 130
    assert outcome.err == "taxotext: interrupted.\n"


def test_the_version_is_printed(command: Command) -> None:
    import taxotext

    assert command("--version").ok().out == f"{taxotext.__version__}\n"


def test_many_problems_are_cut_and_counted(command: Command) -> None:
    outcome = command("train", "--model=linear", "--output=m", *[f"key{number}=1" for number in range(30)])
    outcome.refused("30 problems in the configuration.", "... and 10 more")


@pytest.mark.parametrize("debug", [False, True])
def test_a_process_shows_a_traceback_with_debug_only(debug: bool, tmp_path: Path) -> None:
    arguments = ["predict", "nope", "nope.jsonl", *(["--debug"] if debug else [])]
    done = subprocess.run(
        [sys.executable, "-m", "taxotext", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=PROCESS_ENVIRONMENT,
    )
    assert ("Traceback" in done.stderr) == debug
    assert "nope: there is no such model folder." in done.stderr
    assert done.stdout == ""
    assert done.returncode == (1 if debug else 2)
