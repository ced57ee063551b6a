"""The command line: one file a verb, thin over the Python interface. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import logging
import os
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run ``taxotext``; mistakes of the user end with one sentence and exit code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    from taxotext.cli.app import app
    from taxotext.errors import TaxotextError

    try:
        app(given, prog_name="taxotext")
    except TaxotextError as error:
        if debug:
            raise
        _say(f"taxotext: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        _say("taxotext: interrupted. A training goes on with the same command and --resume.")
        sys.exit(130)
    except BrokenPipeError:  # the reader of stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if debug:
            raise
        _say(
            f"taxotext: an error inside the program, not yours: {type(error).__name__}: {error}\n"
            "Run the command again with --debug and report what it shows."
        )
        sys.exit(1)


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
