"""Typed settings: strict models, all problems reported together, YAML with a comment for each key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from taxotext.errors import ConfigError, nearest


class Settings(BaseModel):
    """Base of every configuration: immutable, unknown keys are errors, every field carries a description."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, ser_json_inf_nan="constants")


S = TypeVar("S", bound=Settings)


def parse_settings(kind: type[S], values: Mapping[str, Any], where: str = "settings") -> S:
    """Validate ``values`` into ``kind``.

    Raises:
        ConfigError: one sentence for each wrong key; unknown keys come with the nearest known name.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        problems = [_sentence(kind, values, detail) for detail in error.errors()]
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError(f"{where}: {count} in the configuration.", problems) from None


def _sentence(kind: type[BaseModel], values: Any, detail: Any) -> str:
    location = _without_tags(values, detail["loc"])
    path = ".".join(str(step) for step in location) or "(top level)"
    if detail["type"] == "extra_forbidden":
        owner = _model_at(kind, values, location[:-1])
        known = list(owner.model_fields) if owner is not None else []
        hint = nearest(str(location[-1]), known) or (f" Known keys: {', '.join(known)}." if known else "")
        return f"{path}: unknown key.{hint}"
    if detail["type"] == "missing":
        return f"{path}: a value is required."
    if detail["type"] in {"union_tag_invalid", "literal_error"}:
        expected = detail["ctx"].get("expected_tags") or detail["ctx"].get("expected")
        tag = detail["ctx"].get("tag", detail["input"])
        return f"{path}: {tag!r} is not known; choose from {expected}."
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    shown = repr(detail["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return f"{path}: {message} (got {shown})."


def _without_tags(values: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Drop the steps that pydantic adds for the chosen member of a union: they are no keys of the file."""
    steps: list[int | str] = []
    here = values
    for position, step in enumerate(location):
        inside = isinstance(here, Mapping) and step in here
        is_tag = isinstance(here, Mapping) and here.get("name") == step and not inside
        if is_tag and position < len(location) - 1:
            continue
        steps.append(step)
        if isinstance(here, (Mapping, list)):
            try:
                here = here[step]  # type: ignore[index]  # a step fits the container that it came from
            except (KeyError, IndexError, TypeError):
                here = None
    return tuple(steps)


def _model_at(kind: type[BaseModel] | None, values: Any, location: tuple[int | str, ...]) -> type[BaseModel] | None:
    for step in location:
        if kind is None or step not in kind.model_fields:
            return None
        here = values.get(step) if isinstance(values, Mapping) else None
        name = here.get("name") if isinstance(here, Mapping) else None
        members = list(_models_in(kind.model_fields[str(step)].annotation))
        named = [m for m in members if "name" in m.model_fields and m.model_fields["name"].default == name]
        found = named or members
        kind = found[0] if found else None
        values = here
    return kind


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, UnionType} or get_args(annotation):
        for member in get_args(annotation):
            yield from _models_in(member)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: with file and line when the file is missing, is no YAML, repeats a key or is no mapping.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader that refuses repeated keys, which YAML would let silently win over one another."""

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = loader.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"{path}:{line}: the key {key!r} stands twice; keep one of them.")
            seen.add(key)
        return dict(loader.construct_mapping(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such configuration file; `taxotext config NAME` prints one to start from."
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name a YAML file.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save the configuration as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        value = yaml.load(text, Loader=Loader)  # a subclass of SafeLoader: builds plain values only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or "cannot be parsed"
        raise ConfigError(f"{path}{line}: is not valid YAML ({reason}).") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not a usable YAML configuration ({error}).") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values, not {type(value).__name__}.")
    return value


def set_key(values: dict[str, Any], assignment: str) -> None:
    """Apply one ``key.path=value`` of the command line; the value is read as YAML.

    >>> values = {"training": {"epochs": 3}}
    >>> set_key(values, "training.epochs=5")
    >>> values
    {'training': {'epochs': 5}}

    Raises:
        ConfigError: without ``=``, with an empty key or when a step of the path is a plain value.
    """
    import yaml

    key, equals, text = assignment.partition("=")
    steps = key.split(".")
    if not equals or not all(steps):
        raise ConfigError(f"{assignment!r} is not of the form key.path=value, such as training.epochs=5.")
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        raise ConfigError(f"{assignment!r}: the value is not valid YAML; put it in quotes.") from None
    here = values
    for step in steps[:-1]:
        here = here.setdefault(step, {})
        if not isinstance(here, dict):
            raise ConfigError(f"{assignment!r}: {step!r} is a plain value and has no keys below it.")
    here[steps[-1]] = value


def commented_yaml(settings: Settings) -> str:
    """Return the settings as YAML, each key with the description of its field as a comment."""
    return "\n".join(_commented_lines(settings, "")) + "\n"


def _commented_lines(settings: BaseModel, indent: str) -> Iterator[str]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        comment = f"  # {field.description}" if field.description else ""
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:{comment}"
            yield from _commented_lines(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_scalar(value)}{comment}"


def _scalar(value: Any) -> str:
    # JSON is a subset of YAML; floats such as 5e-05 need the point that YAML 1.1 asks for.
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    if isinstance(value, Path):
        value = str(value)
    plain = json.dumps(value, ensure_ascii=False)
    simple = isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum()
    return value if simple and value not in {"none", "null", "yes", "no", "on", "off"} else plain
