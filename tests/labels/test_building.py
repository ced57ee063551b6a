"""Sound taxonomies are built by passes over whole lists, others label by label: with the same outcome."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from taxotext.errors import TaxonomyError
from taxotext.labels import Taxonomy, building

odd = st.sampled_from([" x", "", "a\tb", "a\n", "a\0b", "\ud800", "é", 5, None, ["a"]])
label = st.sampled_from("abcde")
any_label = st.one_of(label, label, label, label, odd)


def outcome(make: Any) -> Any:
    """The taxonomy, or the problems."""
    try:
        return make()
    except TaxonomyError as error:
        return error.problems


def thoroughly(make: Any) -> Any:
    with mock.patch.object(building, "_sound_parts", return_value=None):
        return outcome(make)


def check_alike(make: Any) -> None:
    quick, thorough = outcome(make), thoroughly(make)
    assert quick == thorough
    if isinstance(quick, Taxonomy):
        assert quick.edge_index.dtype == np.int64
        assert not quick.edge_index.flags.writeable


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), any_label), any_label), max_size=6),
    st.lists(any_label, max_size=3),
    st.dictionaries(label, st.sampled_from(["A  name", "", "\ud800", None, 7]), max_size=2),
)
def test_edges_labels_and_names_are_taken_or_refused_alike(edges: Any, labels: Any, names: Any) -> None:
    check_alike(lambda: Taxonomy.from_edges(edges, labels=labels, names=names))


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"id": any_label},
            optional={
                "name": st.sampled_from([None, "A  name", "", "\ud800", 7]),
                "description": st.sampled_from([None, "A  text.", "", "\ud800", 7]),
                "parents": st.one_of(st.none(), st.lists(any_label, max_size=2)),
            },
        ),
        max_size=5,
    )
)
def test_dictionaries_are_taken_or_refused_alike(listed: Any) -> None:
    check_alike(lambda: Taxonomy.from_dict({"labels": listed}))


@settings(deadline=None)
@given(st.lists(st.one_of(label, odd, st.text(max_size=3)), max_size=5))
def test_labels_without_a_problem_are_sound(labels: list[Any]) -> None:
    problems = [building.id_problem(each) for each in labels]
    with_nul = any(isinstance(each, str) and "\0" in each for each in labels)
    assert building.are_sound(labels) == (not any(problems) and not with_nul)
