"""How parameters are written for one command: its options, or the keys of a configuration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from taxotext.messages import DATA_KEYS, NO_VALUE, Spelling

DATA_SWITCHES = {"no_quotes": "data.quotes=false"}
"""Options without a value as keys below ``data``."""


def spelling_of(command: Any, arguments: Sequence[str]) -> Spelling:
    """The spelling for the command that ``arguments`` call."""
    for argument in arguments:
        command = getattr(command, "commands", {}).get(argument, command)
    options = {
        parameter.name: next(name for name in parameter.opts if name.startswith("--"))
        for parameter in command.params
        if any(name.startswith("--") for name in parameter.opts)
    }
    for parameter in command.params:
        for name in getattr(parameter, "secondary_opts", ()):
            options[name.strip("-").replace("-", "_")] = name
    if "text_field" in options:  # of explain, whose --text is a text itself
        options["text"] = options["text_field"]
    takes_keys = any("key.path" in str(parameter.metavar or "").lower() for parameter in command.params)

    def spelling(name: str, value: Any) -> str | None:
        option = options.get(name)
        if option is not None:
            return option if value is NO_VALUE or value is True else f"{option} {shlex.quote(str(value))}"
        return DATA_SWITCHES.get(name) or _key(DATA_KEYS.get(name, name), value) if takes_keys else None

    return spelling


def _key(name: str, value: Any) -> str | None:
    """``data.label_separator=';'``, as it is typed in a shell; None where a training has no such key."""
    from taxotext.api.runs import DataSettings

    if name not in DataSettings.model_fields:
        return None
    if value is NO_VALUE:
        return f"data.{name}"
    return f"data.{name}={shlex.quote(str(value))}" if value != "" else f"data.{name}=\"''\""
