"""Typed settings: strict models, all problems reported together, YAML with a comment for each key."""

from __future__ import annotations

import json
import math
import re
import reprlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from annotated_types import Le, Lt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from taxotext.errors import ConfigError, nearest
from taxotext.files.limits import nested_beyond
from taxotext.files.targets import check_no_device
from taxotext.messages import counted

SHOWN = 80
"""Characters of a wrong value that a sentence repeats."""
LARGEST_WHOLE = 1_000_000
"""Limit of whole numbers whose field names none: no setting may ask for memory or time without end."""
LARGEST_REAL = 1e9
"""The same for real numbers."""
MOST_DIGITS = 1000
LARGEST_INTEGER = 10**MOST_DIGITS
DEEPEST = 100
"""Brackets within each other at most, in YAML."""
MOST_NODES = 1_000_000
"""Values of a YAML file at most, aliases written out."""
NO_PLAIN_WORDS = frozenset({"none", "null", "true", "false", "yes", "no", "on", "off", "y", "n"})


Width = Annotated[int, Field(ge=1, le=16_384)]
"""Of a layer in a list of them."""


class Settings(BaseModel):
    """Base of every configuration: immutable, unknown keys are errors, every field carries a description."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Let a field that only has another default than in a base class keep the description that it has there."""
        for name, field in cls.model_fields.items():
            before = (getattr(base, "model_fields", {}).get(name) for base in cls.__mro__[1:])
            field.description = field.description or next((one.description for one in before if one is not None), None)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_conversion(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would convert in silence: true for 1, "3" for 3, "yes" for true.

        A section of which only some keys are given takes the others from the section that is the default here, not
        from the defaults of its class: a preset keeps what the user does not change.
        """
        field = cls.model_fields[str(info.field_name)]
        fault = _type_fault(field.annotation, value) or _beyond(field, value)
        if fault is not None:
            raise ValueError(fault)
        if isinstance(field.default, Settings) and isinstance(value, Mapping):
            return field.default.completed(value)
        return value

    def completed(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``values`` with the keys that they lack taken from these settings.

        Sections are completed as well. ``values`` that choose another part by its ``name`` are left as they are.
        """
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return overlaid(own, values)


def overlaid(base: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``base`` with ``values`` laid over it, section by section.

    A section of ``values`` that has another ``name`` than the one of ``base`` chooses another part, and replaces it.

    >>> overlaid({"seed": 1, "head": {"name": "linear", "dropout": 0.5}}, {"head": {"dropout": 0.1}})
    {'seed': 1, 'head': {'name': 'linear', 'dropout': 0.1}}
    """
    if "name" in base and values.get("name", base["name"]) != base["name"]:
        return values
    result = {**base, **values}
    for key, value in values.items():
        below = base.get(key)
        if isinstance(value, Mapping) and isinstance(below, Settings):
            result[key] = below.completed(value)
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = overlaid(below, value)
    return result


def _type_fault(annotation: Any, value: Any) -> str | None:
    members = list(_members(annotation))
    numeric = int in members or float in members
    if isinstance(value, (list, tuple, Mapping)):
        inner = value.values() if isinstance(value, Mapping) else value
        kinds = [member for member in members if get_origin(member) in {tuple, list, dict}]
        items = [get_args(kind)[-1 if get_origin(kind) is dict else 0] for kind in kinds if get_args(kind)]
        return next((found for kind in items for item in inner if (found := _type_fault(kind, item))), None)
    if isinstance(value, bool):
        return "a number is needed, not true or false" if numeric and bool not in members else None
    if any(get_origin(member) is Literal for member in members):
        return None  # pydantic compares literals as they are
    if isinstance(value, (int, float)):
        return "true or false is needed, not a number" if bool in members and not numeric else None
    if isinstance(value, str) and str not in members and (numeric or bool in members):
        return f"{'a number' if numeric else 'true or false'} is needed, not text"
    return None


def _beyond(field: FieldInfo, value: Any) -> str | None:
    """What is wrong with a number of a field that has no upper limit of its own; lists of numbers are looked into."""
    if any(isinstance(rule, (Le, Lt)) for rule in field.metadata) or any(_models_in(field.annotation)):
        return None
    inner = list(value.values()) if isinstance(value, Mapping) else value
    for one in inner if isinstance(inner, (list, tuple)) else [value]:
        if isinstance(one, int) and abs(one) > LARGEST_WHOLE:
            return f"input should be at most {LARGEST_WHOLE}"
        if isinstance(one, float) and math.isfinite(one) and abs(one) > LARGEST_REAL:
            return f"input should be at most {LARGEST_REAL:g}"
    return None


def _members(annotation: Any) -> Iterator[Any]:
    """The members of a union, or the one type there is."""
    if get_origin(annotation) in {Union, UnionType}:
        for member in get_args(annotation):
            yield from _members(member)
    elif get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    else:
        yield annotation


S = TypeVar("S", bound=Settings)


def parse_settings(kind: type[S], values: Mapping[str, Any], where: str = "settings", prefix: str = "") -> S:
    """Validate ``values`` into ``kind``.

    Args:
        kind: of settings.
        values: what the user wrote.
        where: file or place, named first in an error.
        prefix: key path of ``values`` in the whole configuration.

    Raises:
        ConfigError: one sentence for each wrong key; unknown keys come with the nearest known name.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        problems = _sentences(kind, values, error.errors(), prefix)
        count = counted(len(problems), "problem")
        raise ConfigError(f"{where}: {count} in the configuration.", problems) from None


def _sentences(kind: type[BaseModel], values: Any, details: Sequence[Any], prefix: str) -> list[str]:
    """One sentence for each key; what the members of a union each say about it is joined by "or"."""
    messages: dict[str, list[str]] = {}
    inputs: dict[str, Any] = {}
    for detail in details:
        location = _without_tags(values, detail)
        if detail["type"] == "union_tag_invalid":  # said of the section, meant is its name
            location = (*location, "name")
        path = ".".join([*([prefix] if prefix else []), *(str(step) for step in location)])
        message = _message(kind, values, location, detail)
        messages.setdefault(path, [])
        if message not in messages[path]:
            messages[path].append(message)
        inputs[path] = detail["input"]
    sentences, paths = [], sorted(messages)
    for path, found in messages.items():
        at = bisect_left(paths, f"{path}.") if path else 1
        if at < len(paths) and paths[at].startswith(f"{path}." if path else ""):
            continue  # it follows from what is wrong inside: a list is empty because its items were refused
        text = ", or ".join(found)
        if not text.endswith((".", "?")):
            text += "." if isinstance(inputs[path], Mapping) else f" (got {_shown(inputs[path])})."
        sentences.append(f"{path}: {text}" if path else text)
    return sentences


def _message(kind: type[BaseModel], values: Any, location: tuple[int | str, ...], detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key.{_hint(kind, values, location)}"
    if detail["type"] == "missing":
        return "a value is required."
    if detail["type"] in {"union_tag_invalid", "literal_error"}:
        expected = detail["ctx"].get("expected_tags") or detail["ctx"].get("expected")
        tag = detail["ctx"].get("tag", detail["input"])
        if len(detail["loc"]) > len(location):  # one member of a union among others
            return f"one of {expected}"
        hint = nearest(tag, re.findall(r"'([^']*)'", expected)) if isinstance(tag, str) else ""
        return f"{_shown(tag)} is not known; choose from {expected}.{hint}"
    if detail["type"] in {"model_type", "model_attributes_type", "dict_type", "mapping_type"}:
        return "must be a mapping of keys to values"
    if detail["type"] in {"tuple_type", "list_type"}:
        return "must be a list, [a, b]"
    if detail["type"] in {"string_type", "path_type"} and isinstance(detail["input"], (bool, int, float)):
        return f"input should be a valid string (got {_shown(detail['input'])}); put it in quotes."
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _hint(kind: type[BaseModel], values: Any, location: tuple[int | str, ...]) -> str:
    """The nearest key beside the unknown one, else the key of that name elsewhere, else all keys that there are.

    A key of another kind of the same section, such as ``body.rank`` where ``body.name=pooling``, is named as such.
    """
    owner, name = _model_at(kind, values, location[:-1]), str(location[-1])
    known = list(owner.model_fields) if owner is not None else []
    hint = nearest(name, known)
    if hint:
        return hint
    all_known = f" Known keys: {', '.join(known)}." if known else ""
    paths = list(_key_paths(kind))
    if owner is not None and "name" in known and (name, ".".join(map(str, location))) in paths:
        section = ".".join(map(str, location[:-1]))
        return f" {section}.name={owner.model_fields['name'].default} does not have it.{all_known}"
    elsewhere = dict(paths)
    near = nearest(name, elsewhere)
    if near:
        return near.replace(near.split("'")[1], elsewhere[near.split("'")[1]])
    return all_known


def _key_paths(kind: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for path, _ in _annotated_paths(kind, ""):
        yield path.rpartition(".")[2], path


def _annotated_paths(kind: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    """The key paths of a configuration with the types of their values; those of sections before the section."""
    for name, field in kind.model_fields.items():
        for inner in _models_in(field.annotation):
            yield from _annotated_paths(inner, f"{prefix}{name}.")
        yield prefix + name, field.annotation


def _text_key(annotation: Any) -> TextKey | None:
    """What a setting of this type is as a text; None where it may be something else."""
    members = list(_members(annotation))
    given = [member for member in members if member is not type(None)]
    many = [member for member in given if get_origin(member) in {tuple, list} and set(get_args(member)) <= {str, ...}]
    if not given or not all(member in (str, Path) or member in many for member in given):
        return None
    return TextKey(len(given) < len(members), bool(many))


def _shown(value: Any) -> str:
    """A value as YAML has it, cut; mappings and lists that hold themselves are not danger."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 2, SHOWN, SHOWN, SHOWN
    text = short.repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _without_tags(values: Any, detail: Any) -> tuple[int | str, ...]:
    """Drop the steps that pydantic adds for the members of unions: they are not keys of the file."""
    location: tuple[int | str, ...] = detail["loc"]
    steps: list[int | str] = []
    here = values
    for position, step in enumerate(location):
        inside = isinstance(here, Mapping) and step in here
        is_tag = isinstance(here, Mapping) and here.get("name") == step and not inside
        if is_tag and position < len(location) - 1:
            continue
        absent = position == len(location) - 1 and detail["type"] == "missing"
        if not isinstance(here, (Mapping, list, tuple)) or (isinstance(here, Mapping) and not inside and not absent):
            continue  # a type, such as dict[str,float]
        steps.append(step)
        here = _inside(here, step)
    return tuple(steps)


def _model_at(kind: type[BaseModel] | None, values: Any, location: tuple[int | str, ...]) -> type[BaseModel] | None:
    many = False
    for step in location:
        if many:  # a key of a mapping, or a place in a list, of models
            values = _inside(values, step)
            many = False
            continue
        if kind is None or step not in kind.model_fields:
            return None
        here = values.get(step) if isinstance(values, Mapping) else None
        field = kind.model_fields[str(step)]
        many = any(get_origin(member) in {dict, list, tuple} for member in _members(field.annotation))
        name = None
        if isinstance(here, Mapping) and not many:
            name = here.get("name", getattr(field.default, "name", None))
        members = list(_models_in(field.annotation))
        named = [m for m in members if "name" in m.model_fields and m.model_fields["name"].default == name]
        found = named or members
        kind = found[0] if found else None
        values = here
    return kind


def _inside(values: Any, step: int | str) -> Any:
    try:
        return values[step]
    except (KeyError, IndexError, TypeError):
        return None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, UnionType} or get_args(annotation):
        for member in get_args(annotation):
            yield from _models_in(member)


def _yaml_loader(place: str) -> Any:
    """A SafeLoader that refuses repeated keys and reads 1e-4 as a number, as YAML 1.2 and everybody does."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Builds plain values only."""

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{place}:{line}: a key is a list or a mapping; keys must be plain names.")
            key = loader.construct_object(key_node, deep=True)
            if key in seen:
                raise ConfigError(f"{place}:{line}: the key {key!r} is duplicated; keep one of them.")
            seen.add(key)
        return dict(loader.construct_mapping(node, deep=True))

    def integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
        value = loader.construct_yaml_int(node)
        if abs(value) >= LARGEST_INTEGER:  # Python refuses to print what has thousands of digits
            line = node.start_mark.line + 1
            raise ConfigError(f"{place}:{line}: a whole number has more than {MOST_DIGITS} digits; give a smaller one.")
        return int(value)

    Loader.add_constructor("tag:yaml.org,2002:int", integer)
    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    number = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return Loader


def _check_brackets(text: str, place: str) -> None:
    """Raise ConfigError where more brackets are open than a configuration has levels, before YAML is parsed."""
    if nested_beyond(text, DEEPEST):
        raise ConfigError(f"{place}: is nested too deeply; a configuration has four levels at most.")


def _check_expansion(root: Any, place: str) -> None:
    """Refuse aliases that stand for far more than the file holds ("billion laughs"), before values are made of them.

    Raises:
        ConfigError: written out, the file would have more than :data:`MOST_NODES` values.
    """
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 1  # of a node inside itself
            value = node.value
            inner = [] if isinstance(value, str) else value
            sizes[id(node)] += sum(sum(map(size, one)) if isinstance(one, tuple) else size(one) for one in inner)
        return sizes[id(node)]

    if root is not None and size(root) > MOST_NODES:
        raise ConfigError(
            f"{place}: its aliases (*name) stand for more than {MOST_NODES:,} values; write out what is meant."
        )


def load_yaml(text: str, place: str, *, plain: bool = False) -> Any:
    """Parse YAML into plain values; nothing in it is run, and bombs are refused.

    Args:
        text: the whole file.
        place: its name, or that of a key, for messages.
        plain: into texts, and lists and mappings of them, so that 1 and null are texts, too.

    Raises:
        ConfigError: with the line where it is not valid.
    """
    import yaml

    _check_brackets(text, place)
    try:
        # BaseLoader and subclasses of SafeLoader build plain values only.
        loader: Any = (yaml.BaseLoader if plain else _yaml_loader(place))(text)
        try:
            root = loader.get_single_node()
            _check_expansion(root, place)
            return None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        position = getattr(error, "position", None)
        if line == "" and isinstance(position, int):
            line = f":{text.count(chr(10), 0, position) + 1}"
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
        raise ConfigError(
            f"{place}{line}: is not valid YAML ({reason}); fix it there, or put values in quotes."
        ) from None
    except RecursionError:
        raise ConfigError(f"{place}: is nested too deeply; a configuration has four levels at most.") from None
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise ConfigError(f"{place}: holds a value that YAML cannot read ({error}); put it in quotes.") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: with file and line when the file is missing, is not valid YAML, repeats a key or is not a mapping.
    """
    try:
        check_no_device(path)
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such configuration file; `taxotext config NAME` prints one to start from."
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name a YAML file.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save the configuration as UTF-8.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    value = load_yaml(text, str(path))
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values, such as `seed: 3`, not {_shown(value)}.")
    return value


class TextKey(NamedTuple):
    """A setting that is text: whether it may be null, and whether it is a list of texts."""

    optional: bool
    many: bool


def text_keys(kind: type[Settings], prefix: str = "") -> dict[str, TextKey]:
    """Key paths of the settings that are text, whatever parts are chosen.

    >>> class Example(Settings):
    ...     name: str | None = None
    ...     size: int = 1
    >>> text_keys(Example, "data.")
    {'data.name': TextKey(optional=True, many=False)}
    """
    found: dict[str, list[TextKey | None]] = {}
    for path, annotation in _annotated_paths(kind, prefix):
        found.setdefault(path, []).append(_text_key(annotation))
    return {path: keys[0] for path, keys in found.items() if keys[0] is not None and None not in keys}


def set_key(values: dict[str, Any], assignment: str, texts: Mapping[str, TextKey] | None = None) -> None:
    """Apply one ``key.path=value`` of the command line.

    Args:
        values: changed.
        assignment: the value of a setting that is text is taken as it stands, or without the quotes around it; other
            values are read as YAML.
        texts: the settings that are text (:func:`text_keys`).

    >>> values = {"training": {"epochs": 3}}
    >>> set_key(values, "training.epochs=5")
    >>> values
    {'training': {'epochs': 5}}

    Raises:
        ConfigError: without ``=``, with an empty key or when a step of the path is a plain value.
    """
    key, equals, text = assignment.partition("=")
    steps = key.split(".")
    if not equals or not all(steps):
        raise ConfigError(f"{assignment!r} is not of the form key.path=value, such as training.epochs=5.")
    key_of_text = (texts or {}).get(key)
    value: Any
    if key_of_text is not None:
        value = _assigned_text(text, key_of_text)
    else:
        value = assigned(text, repr(assignment)) if text else None
    here = values
    for step in steps[:-1]:
        if here.get(step) is None:  # absent, or the null of a configuration
            here[step] = {}
        here = here[step]
        if not isinstance(here, dict):
            raise ConfigError(f"{assignment!r}: {step!r} is a plain value and has no keys below it.")
    here[steps[-1]] = value


def _assigned_text(text: str, key: TextKey) -> Any:
    """A text as it stands; in quotes what is in them; ``[a, b]`` is a list of texts where there may be one."""
    bare = text.strip()
    if not text:
        return None if key.optional else text
    if bare.startswith(("'", '"')) or (key.many and bare.startswith("[")):
        with suppress(ConfigError):
            value = load_yaml(text, "", plain=True)
            if isinstance(value, str) or (key.many and isinstance(value, list)):
                return value
    return text


def assigned(text: str, where: str) -> Any:
    """The value on the right of ``=``: YAML, but for texts in which YAML would see its own marks and lose them.

    A separator such as ``|`` or ``#`` is meant as it stands, and so is ``files/a #1.csv``.
    """
    bare = text.lstrip()
    if not bare or bare[0] in "|>,#%@`&*!" or (" #" in text and bare[0] not in "[{\"'"):
        return text
    return load_yaml(text, where)


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
    # Plain words need no quotes, unless YAML takes them for something else, or people might.
    simple = isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value) is not None
    return value if simple and value.lower() not in NO_PLAIN_WORDS else plain
