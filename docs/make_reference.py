"""Write docs/reference/config.md, and the commands of docs/reference/cli.md, from the program itself.

Run ``python docs/make_reference.py`` after a change of a setting or an option; a test compares the pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path
from textwrap import dedent
from typing import Any

from taxotext.api.runs import DataSettings
from taxotext.models.registry import BUILT_IN

DOCS = Path(__file__).resolve().parent
BEGIN, END = "<!-- written by docs/make_reference.py -->", "<!-- end of the written part -->"
COMMON = ("seed", "validation", "decoding", "runtime")
SYSTEMS = tuple(entry.name for entry in BUILT_IN)
KINDS = ("encoder", "structure", "head", "loss", "body")

CONFIG_PAGE = """# Configuration

{begin}

`taxotext config NAME` prints the whole default configuration of a system as YAML, with a comment for each key; a file
like that is read back by `taxotext train`. Only keys that differ from the defaults need to be there. The same key is
written in three ways:

| where | form |
| --- | --- |
| YAML file | nested: `training:` and below it `  epochs: 5` |
| command line | `training.epochs=5`; stronger than the file. A value that is text is taken as it stands \
(`data.label_separator=~`, `data.labels=1`), in quotes what is in them, and nothing (`data.validation=`) is \
null; other values are read as YAML |
| Python | `Classifier("bert", training={{"epochs": 5}})` or `Classifier("bert", training__epochs=5)` |

Unknown keys and impossible values are errors; all of them are reported together, each with the nearest known key. The
whole configuration is kept in the model folder (`config.json`).

`model` is the name of a [system](../how-to/choose-a-system.md). Without it, `taxotext train` chooses one and says why.

## What is read: `data`

Python has no `data` section: there, {columns} and `read_corpus` say the same.

{data}

## Settings of every system

{common}

{systems}

## Other parts

Parts that a composed system takes when their `name` is given, such as `loss.name=focal`; those of the systems above are
not repeated. Every encoder can be chosen in every composed system.

{parts}

## Experiments

The file of `taxotext experiment run` ([how](../how-to/experiments.md)). A corpus has all keys of `data` as well.

{experiments}
"""


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """The pages as they should be, by path."""
    cli = DOCS / "reference" / "cli.md"
    before, _, rest = cli.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    return {
        DOCS / "reference" / "config.md": _config_page(),
        cli: f"{before}{BEGIN}\n\n{_commands()}\n{END}{after}",
    }


# -- settings ------------------------------------------------------------------------------------------------------


def _config_page() -> str:
    from taxotext.composition.parts import members
    from taxotext.models.registry import entries, find

    common = _rows(find(SYSTEMS[0]).Settings.model_json_schema(), only=COMMON)
    systems = []
    for name in SYSTEMS:
        schema = find(name).Settings.model_json_schema()
        own = [key for key in schema["properties"] if key not in COMMON]
        systems.append(f"## Settings of `{name}`\n\n{entries()[name].summary}: [{name}](../systems/{name}.md).\n")
        systems.append(_table(_HEAD, _rows(schema, only=own)) + "\n")
    defaults = [find(name).Settings() for name in SYSTEMS]
    shown = {(kind, getattr(chosen, kind).name) for chosen in defaults for kind in KINDS if getattr(chosen, kind, None)}
    others = [
        f"### `{kind}.name={name}`\n\n{settings.__doc__}\n\n"
        + _table(_HEAD, _rows({"properties": {kind: settings.model_json_schema()}}, only=[kind]))
        + "\n"
        for kind in KINDS
        for name, settings in members(kind).items()
        if (kind, name) not in shown
    ]
    data = _rows({"properties": {"data": DataSettings.model_json_schema()}}, only=["data"])
    return CONFIG_PAGE.format(
        begin=BEGIN,
        columns="[`Columns`](python.md#reading)",
        data=_table(_HEAD, data),
        common=_table(_HEAD, common),
        systems="\n".join(systems).rstrip(),
        parts="\n".join(others).rstrip(),
        experiments=_table(_HEAD, _experiment_rows()),
    )


def _experiment_rows() -> list[tuple[str, ...]]:
    from taxotext.experiments.settings import (
        CorpusSettings,
        ExperimentSettings,
        OtherPublishedSettings,
        Override,
        SystemEntry,
    )

    inner = {
        "systems": ("systems.NAME", SystemEntry),
        "corpora": ("corpora.NAME", CorpusSettings),
        "overrides": ("overrides[]", Override),
        "published": ("published[]", OtherPublishedSettings),
    }
    rows = []
    schema = ExperimentSettings.model_json_schema()
    for key in schema["properties"]:
        if key not in inner:
            rows += _rows(schema, only=[key])
            continue
        path, kind = inner[key]
        own = kind.model_json_schema()
        named = set(DataSettings.model_fields) - {"train"} if kind is CorpusSettings else set()
        for name in own["properties"]:
            if name not in named:
                ((_, values, default, meaning),) = _rows(own, only=[name])
                rows.append((f"`{path}.{name}`", values, "required" if name in own["required"] else default, meaning))
    return rows


_HEAD = ("key", "values", "default", "meaning")


def _rows(schema: dict[str, Any], only: Iterable[str]) -> list[tuple[str, ...]]:
    """(key, values, default, meaning) of each key, depth first."""
    definitions = schema.get("$defs", {})

    def definition(entry: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = definitions.get(str(entry.get("$ref", "")).rpartition("/")[2], entry)
        return found

    def walk(properties: dict[str, Any], path: str, defaults: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        for name, entry in properties.items():
            key = f"{path}{name}"
            default = defaults.get(name, entry.get("default", {}))
            inner = definition(entry)
            if "oneOf" in entry:  # parts, told apart by their name: the keys of the one that is chosen here
                parts = {part["properties"]["name"]["const"]: part for part in map(definition, entry["oneOf"])}
                inner = dict(parts[default["name"]])
                choice = {**inner["properties"]["name"], "enum": list(parts)}
                inner["properties"] = {**inner["properties"], "name": choice}
            if "properties" in inner:
                yield from walk(inner["properties"], f"{key}.", default)
            else:
                yield f"`{key}`", _values(entry), f"`{json.dumps(default)}`", _text(entry.get("description"))

    wanted = list(only)
    return list(walk({name: schema["properties"][name] for name in wanted}, "", {}))


def _values(entry: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "oneOf" in entry:
        return "mapping"
    if "anyOf" in entry:
        return ", or ".join(dict.fromkeys(_values(choice) for choice in entry["anyOf"]))
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`"
    kind = str(entry.get("type", ""))
    if kind == "array":
        items = entry.get("items") or (entry.get("prefixItems") or [{}])[0]
        count = entry.get("minItems", 0)
        fixed = count and count == entry.get("maxItems")
        return f"{count} of: {_values(items)}" if fixed else f"list of: {_values(items)}"
    if kind == "object":
        inner = entry.get("additionalProperties") or {}
        return "mapping" if inner is True else f"mapping to: {_values(inner)}"
    if "$ref" in entry:
        return "mapping"
    word = {"boolean": "true, false", "null": "`null`", "integer": "whole number", "string": "text"}.get(kind, kind)
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {entry[bound]}" for bound, sign in signs.items() if bound in entry]
    return f"{word} {', '.join(bounds)}".strip()


# -- commands ------------------------------------------------------------------------------------------------------


def _commands() -> str:
    import typer

    from taxotext.cli.app import app

    parts: list[str] = []
    for name, command in _leaves(typer.main.get_command(app), "taxotext"):
        arguments = [entry for entry in command.params if entry.param_type_name == "argument"]
        options = [entry for entry in command.params if entry.param_type_name == "option"]
        usage = " ".join(_usage(argument) for argument in arguments)
        parts += [f"### {name}", "", *_help(command.help), "", f"    {name} {usage} [OPTIONS]".replace("  [", " ["), ""]
        rows = [(f"`{_usage(entry)}`", _text(entry.help), "") for entry in arguments]
        rows += [(_spelled(entry), _text(entry.help), _default(entry)) for entry in options if entry.name != "help"]
        if rows:
            parts += [_table(("argument or option", "meaning", "default"), rows), ""]
    return "\n".join(parts)


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from _leaves(child, f"{path} {name}")
        else:
            yield f"{path} {name}", child


def _help(text: str | None) -> list[str]:
    """The paragraphs of a help text; those marked to keep their lines become code."""
    parts: list[str] = []
    for paragraph in cleandoc(text or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            parts += ["```sh", dedent(paragraph.removeprefix("\b\n")), "```", ""]
        else:
            parts += [" ".join(paragraph.split()), ""]
    return parts[:-1]


def _usage(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _spelled(option: Any) -> str:
    names = sorted([*option.opts, *option.secondary_opts], key=lambda name: not name.startswith("--"))
    return ", ".join(f"`{name}`" for name in names)


def _default(option: Any) -> str:
    if getattr(option, "required", False):
        return "required"
    value = option.default
    return "" if value is None or value is False or value == () else f"`{value}`"


def _text(text: str | None) -> str:
    """Help for Markdown: what looks like a tag is code."""
    return re.sub(r"\w+<TAB>\w+", r"`\g<0>`", text or "")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    columns = list(head)
    return "\n".join([line(columns), line("---" for _ in columns), *(line(row) for row in rows)])


if __name__ == "__main__":
    main()
