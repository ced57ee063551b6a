"""The command line: one file a verb, thin over the Python interface. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from typing import Any

from taxotext.cli.streams import open_streams
from taxotext.processes import Terminated, sigterm_raises, wait_briefly


def main(arguments: list[str] | None = None) -> None:
    """Run ``taxotext``; mistakes of the user end with one sentence and exit code 2."""
    open_streams()
    try:
        with sigterm_raises():
            _run(arguments)
    except Terminated:
        _print_error("taxotext: terminated.")
        sys.exit(143)
    except KeyboardInterrupt:
        _print_error("taxotext: interrupted.")
        sys.exit(130)


def _run(arguments: list[str] | None) -> None:
    wait_briefly()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    import typer

    from taxotext.cli.app import app
    from taxotext.cli.spelling import spelling_of
    from taxotext.errors import TaxotextError
    from taxotext.messages import spelled

    logger, handler = logging.getLogger("taxotext"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Printable())
    logger.addHandler(handler)
    try:
        # Not app(): it would answer wrong usage, Ctrl-C and a closed pipe in its own way.
        command = typer.main.get_command(app)
        _check_once(command)
        with spelled(spelling_of(command, given)), command.make_context("taxotext", given) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except TaxotextError as error:
        if debug:
            raise
        _print_error(f"taxotext: {error}")
        sys.exit(2)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:  # the reader of stdout has seen enough
        _forget_stdout()
        sys.exit(141)
    except OSError as error:
        if debug:
            raise
        _forget_stdout()
        if error.filename is None and error.errno == errno.EBADF:
            _print_error(
                "taxotext: stdout is closed, and the result goes there; open it, or name a file with --output."
            )
            sys.exit(2)
        place = f"{error.filename}: " if error.filename else ""
        _print_error(f"taxotext: {place}{error.strerror or error}. Check the disk, the folder and its permissions.")
        sys.exit(2)
    except MemoryError as error:
        if debug:
            raise
        _print_error(
            f"taxotext: the memory is exhausted{f' ({error})' if str(error) else ''}. Give less at once (fewer "
            "documents or labels, a smaller batch or model), or take a machine with more."
        )
        sys.exit(2)
    except Exception as error:
        if hasattr(error, "format_message"):  # what the library of options raises
            _print_error(_usage(error))
            sys.exit(2)
        if debug:
            raise
        _print_error(
            f"taxotext: an error inside the program, not yours: {type(error).__name__}: {error}\n"
            "Run the command again with --debug and report what it shows."
        )
        sys.exit(1)
    finally:
        logger.removeHandler(handler)
    sys.exit(0)


def _check_once(command: Any) -> None:
    """Let every command refuse an option that is given twice and keeps only one value."""
    for below in getattr(command, "commands", {}).values():
        _check_once(below)
    if hasattr(command, "commands"):
        return
    parse = command.parse_args

    def parse_once(context: Any, arguments: list[str]) -> Any:
        from taxotext.errors import ConfigError

        try:
            _, _, order = command.make_parser(context).parse_args(list(arguments))
        except Exception:  # wrong usage, which the parsing itself reports
            order = []
        for number, parameter in enumerate(order):
            one_value = parameter.param_type_name == "option" and not parameter.multiple and not parameter.is_flag
            if one_value and parameter in order[:number]:
                name = max(parameter.opts, key=len)
                raise ConfigError(f"{name} is given twice and takes one value; give it once.")
        return parse(context, arguments)

    command.parse_args = parse_once


def _usage(error: Any) -> str:
    """One sentence about an unknown option or command, a missing argument or an impossible value."""
    from taxotext.errors import nearest

    message = str(error.format_message())
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return message
    if context is None:
        return f"taxotext: {message}"
    wrong = getattr(error, "option_name", None)
    if wrong is not None and hasattr(error, "possibilities"):
        options = [name for parameter in context.command.params for name in parameter.opts if name.startswith("-")]
        message = f"there is no option {wrong!r}.{nearest(wrong, options)}"
    elif message.startswith("No such command"):
        wrong = message.split("'")[1]
        known = list(context.command.commands)
        message = f"there is no command {wrong!r}.{nearest(wrong, known) or ' Known: ' + ', '.join(known) + '.'}"
    else:
        message = message.removeprefix("Error: ")
        message = message[:1].lower() + message[1:] + ("" if message.endswith(".") else ".")
    return f"{context.command_path}: {message} See `{context.command_path} --help`."


class _Printable(logging.Formatter):
    """Records of the log, with nothing in them that changes a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        from taxotext.messages import printable

        return printable(super().format(record), lines=True)


def _print_error(sentence: str) -> None:
    from taxotext.messages import printable

    with contextlib.suppress(OSError):  # nobody listens
        sys.stderr.write(printable(sentence, lines=True) + "\n")
        sys.stderr.flush()


def _forget_stdout() -> None:
    """Let what is still to be written to stdout vanish: at the end of the process it would fail again."""
    with contextlib.suppress(OSError, ValueError):  # a stand-in without a file, in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
