"""Search spaces: what they say, and what is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxotext.composition.space import Around, Choice, Range, build_space, start, with_values
from taxotext.errors import ConfigError
from taxotext.models.bert import Bert
from taxotext.models.linear import Linear
from taxotext.models.registry import entries, find
from taxotext.settings import parse_settings


def linear(asked: dict[str, Any], given: dict[str, Any] | None = None, declared: Any = None) -> dict[str, Any]:
    return build_space(Linear.Settings, declared or {}, given or {}, asked, where="test")


def problems(asked: dict[str, Any], given: dict[str, Any] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        linear(asked, given)
    return error.value.problems or (error.value.message,)


def test_ranges_and_lists_become_dimensions_of_the_type_of_the_setting() -> None:
    asked = {
        "classifier.c": "0.01..100:log",
        "features": {"min_documents": "1..5", "ngrams": [[1, 1], [1, 2]]},
        "features.max_features": "100..10000:log",
        "classifier.balance": [0.0, 0.5],
    }
    assert linear(asked) == {
        "classifier.c": Range(0.01, 100.0, log=True),
        "features.min_documents": Range(1, 5, whole=True),
        "features.ngrams": Choice(([1, 1], [1, 2])),
        "features.max_features": Range(100, 10000, log=True, whole=True),
        "classifier.balance": Choice((0.0, 0.5)),
    }


def test_what_is_fixed_is_not_searched_and_what_is_asked_replaces_what_is_declared() -> None:
    space = linear({"classifier.c": "1..2"}, {"classifier": {"loss": "logistic"}}, Linear.search_space)
    assert space["classifier.c"] == Range(1.0, 2.0)
    assert "classifier.loss" not in space
    assert set(space) == set(Linear.search_space) - {"classifier.loss"}


def test_keys_that_a_chosen_part_lacks_are_left_out_of_a_declared_space() -> None:
    space = linear({}, declared={"classifier.c": "1..2", "head.dropout": "0..0.5", "classifier.momentum": [1, 2]})
    assert list(space) == ["classifier.c"]


def test_around_is_a_range_about_the_setting_as_it_is() -> None:
    given = {"training": {"head_learning_rate": 2e-3}}
    space = build_space(Bert.Settings, {"training.learning_rate": Around(5)}, given, {}, where="test")
    assert space == {"training.learning_rate": Range(2e-5, 5e-4, log=True)}


@pytest.mark.parametrize("name", list(entries()))
def test_the_space_of_every_system_is_one_that_its_settings_take(name: str) -> None:
    kind = find(name)
    space = build_space(kind.Settings, kind.search_space, {}, {}, where=name)
    without = {"body."} if name in {"gru_att", "htrans"} else set()  # their encoders over words have no body
    assert set(space) == {key for key in kind.search_space if not key.startswith(tuple(without))}
    asked = {key: list(d.values) if isinstance(d, Choice) else str(d) for key, d in space.items()}
    assert build_space(kind.Settings, {}, {}, asked, where=name) == space  # checked now as what a user asks for
    first = start(space, kind.Settings())
    assert first is not None
    assert parse_settings(kind.Settings, with_values({}, first)) == kind.Settings()


@pytest.mark.parametrize(
    ("key", "spec", "said"),
    [
        ("classifier.cc", "1..2", "classifier.cc: unknown key. Did you mean 'classifier.c'?"),
        ("min_document", "1..2", "min_document: unknown key. Did you mean 'features.min_documents'?"),
        ("zzz.yyy", "1..2", "zzz.yyy: unknown key."),
        (
            "classifier",
            "1..2",
            "classifier: is a section; search its keys: classifier.loss, classifier.c, classifier.balance, "
            "classifier.prune, classifier.folds.",
        ),
        ("classifier.c", "2..1", "classifier.c: '2..1' must go from a lower number to a higher one."),
        ("classifier.c", "1..1", "classifier.c: '1..1' must go from a lower number to a higher one."),
        ("classifier.c", "0..1:log", "classifier.c: a logarithmic range starts above 0, not at 0."),
        ("classifier.c", "a..b", "classifier.c: the bounds of 'a..b' are not numbers."),
        ("classifier.c", "1..2..3", "classifier.c: '1..2..3' is not a range; write low..high or low..high:log."),
        ("classifier.c", "1..2:lin", "classifier.c: '1..2:lin' is not a range; write low..high or low..high:log."),
        ("classifier.c", "1..inf", "classifier.c: '1..inf' must go from a lower number to a higher one."),
        ("classifier.c", 3, "classifier.c: 3 is not a search space; write low..high, low..high:log, or a list [a, b]."),
        (
            "classifier.loss",
            "0..1",
            "classifier.loss: takes no numbers; give a list of values to search, [a, b].",
        ),
        ("features.ngrams", "1..2", "features.ngrams: takes no numbers; give a list of values to search, [a, b]."),
        (
            "features.sublinear",
            "0..1",
            "features.sublinear: takes no numbers; give a list of values to search, [a, b].",
        ),
        (
            "features.min_documents",
            "1..2.5",
            "features.min_documents: takes whole numbers; the bounds of '1..2.5' must be whole.",
        ),
        (
            "classifier.loss",
            ["logistic"],
            "classifier.loss: a list of values to search needs two at least; set classifier.loss=... to fix one.",
        ),
        ("features.sublinear", [True, True], "features.sublinear: True is duplicated in the list; leave one out."),
        ("seed", "1..9", "seed: cannot be searched: the seed is not a setting to choose by its score; leave it out."),
        (
            "validation.fraction",
            "0.1..0.5",
            "validation.fraction: cannot be searched: it decides on which documents trials are compared; leave it out.",
        ),
    ],
)
def test_what_is_wrong_with_a_space_is_said(key: str, spec: Any, said: str) -> None:
    assert problems({key: spec}) == (said,)


def test_bounds_and_values_that_a_setting_refuses_are_found_before_anything_runs() -> None:
    found = problems({"classifier.c": "-1..1e9", "classifier.loss": ["hinge", "logistic"], "classifier.folds": "1..3"})
    assert len(found) == 4
    assert found[0].startswith("classifier.c: ")
    assert "-1" in found[0]
    assert "1000000000" in found[1]
    assert "'hinge'" in found[2]
    assert found[3].startswith("classifier.folds: ")


def test_a_key_that_is_fixed_and_searched_is_refused() -> None:
    said = problems({"classifier.c": "1..2"}, {"classifier": {"c": 3.0}})
    assert said == ("classifier.c: is fixed (to 3.0) and searched; leave one of the two out.",)


def test_an_empty_space_is_refused() -> None:
    assert problems({}) == ("test: the search space is empty; name keys, such as --search KEY=LOW..HIGH.",)


def test_all_problems_come_together() -> None:
    assert len(problems({"a": 1, "b.c": "1..2", "classifier.c": "2..1"})) == 3


def test_start_is_none_when_the_settings_lie_outside() -> None:
    assert start({"classifier.c": Range(2.0, 3.0)}, Linear.Settings()) is None
    assert start({"features.ngrams": Choice(([1, 2], [1, 3]))}, Linear.Settings()) is None
    assert start({"features.ngrams": Choice(([1, 1], [1, 2]))}, Linear.Settings()) == {"features.ngrams": [1, 1]}


def test_values_are_laid_over_without_changing_what_was_given() -> None:
    given_settings = {"a": {"b": 1, "c": 2}, "d": 3}
    assert with_values(given_settings, {"a.b": 5, "e.f": (1, 2)}) == {"a": {"b": 5, "c": 2}, "d": 3, "e": {"f": [1, 2]}}
    assert given_settings == {"a": {"b": 1, "c": 2}, "d": 3}


@given(low=st.floats(1e-6, 1.0), factor=st.floats(1.001, 1e6), share=st.floats(0, 1), whole=st.booleans())
def test_rounded_numbers_stay_inside(low: float, factor: float, share: float, whole: bool) -> None:
    bounds = (1, 1 + int(factor) + 1) if whole else (low, low * factor)
    dimension = Range(*bounds, whole=whole)
    value = dimension.rounded(bounds[0] + share * (bounds[1] - bounds[0]))
    assert dimension.holds(value)
    assert isinstance(value, int) == whole
