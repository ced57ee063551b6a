import json

import pytest
from pydantic import ValidationError

from taxotext.decoding import Decoding
from taxotext.errors import ConfigError


def test_settings_survive_json():
    decoding = Decoding(
        threshold=0.4,
        level_thresholds=(0.3, 0.2),
        label_thresholds={"a": 0.1},
        top_k=3,
        never_empty=True,
        include=("a", "b"),
        exclude=("c",),
        consistency="down",
        tuned_on="validation split",
        metric="micro_f1",
    )
    assert Decoding.from_dict(json.loads(json.dumps(decoding.to_dict()))) == decoding


def test_the_default_is_one_half_for_all():
    assert Decoding.from_dict({}) == Decoding()
    assert Decoding().to_dict()["threshold"] == 0.5


def test_all_problems_are_reported_together():
    wrong = {
        "threshold": 0,
        "level_thresholds": [],
        "label_thresholds": {"a": 1.0},
        "top_k": 0,
        "never_empty": "perhaps",
        "include": [],
        "consistency": "sideways",
        "topk": 2,
    }
    with pytest.raises(ConfigError) as caught:
        Decoding.from_dict(wrong, "model/decoding.json")
    text = str(caught.value)
    assert text.startswith("model/decoding.json: 8 problems")
    for key in wrong:
        assert f"- {key}" in text
    assert "Did you mean 'top_k'?" in text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"threshold": float("nan")}, "threshold: "),
        ({"threshold": True}, "a number is needed, not true or false"),
        ({"top_k": True}, "a number is needed, not true or false"),
        ({"threshold": None}, "nothing decides what is predicted"),
        ({"threshold": None, "label_thresholds": {"a": 0.5}}, "nothing decides what is predicted"),
        ({"include": ["a"], "exclude": ["b", "a"]}, "'a' is in include and in exclude"),
        ({"include": "abc"}, "include: "),
    ],
)
def test_a_problem_says_what_is_wrong(values, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Decoding.from_dict(values)


def test_the_constructor_refuses_the_same():
    with pytest.raises(ValidationError, match="less than 1"):
        Decoding(threshold=1.5)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        Decoding().threshold = 0.3
