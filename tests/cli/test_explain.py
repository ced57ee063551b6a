"""``taxotext explain``: in the terminal, as JSON and as a page, and a sentence for what cannot be done."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from command import SAMPLE, Command
from taxotext import load

TEXT = "The <b>printer</b> prints blank pages & the toner is new"


def test_words_are_listed_with_signed_numbers_that_need_no_colour(command: Command, sample_model: Path) -> None:
    out = command("explain", sample_model, "--text", TEXT, "--label", "printing").ok().out
    model = load(sample_model)
    found = model.explain([TEXT], ["printing"])[0]
    best = found.best("printing", 8)
    rows = [line.split() for line in out.splitlines() if re.match(r"\s+[+−]", line)]
    assert [row[1] for row in rows][: len(best)] == [found.word(place) for place, _ in best]
    assert float(rows[0][0].replace("−", "-")) == pytest.approx(best[0][1], abs=6e-4)
    assert "printing" in out
    assert "\x1b" not in out


def test_json_is_what_python_gives(command: Command, sample_model: Path) -> None:
    Path("texts.jsonl").write_text(json.dumps({"text": TEXT}) + "\n" + json.dumps({"text": "wifi"}) + "\n")
    err = command("explain", sample_model, "texts.jsonl", "--output", "why.json").ok().err
    assert "Wrote why.json." in err
    content = json.loads(Path("why.json").read_text(encoding="utf-8"))
    expected = [one.to_dict() for one in load(sample_model).explain([TEXT, "wifi"])]
    assert content == {"system": "linear", "documents": expected}


def test_documents_behind_the_first_ones_are_told_of(command: Command, sample_model: Path) -> None:
    outcome = command("explain", sample_model, SAMPLE / "test.jsonl", "--documents", "2", "--output", "why.json").ok()
    assert "the first 2 documents are explained; --documents N explains more." in outcome.err
    assert len(json.loads(Path("why.json").read_text(encoding="utf-8"))["documents"]) == 2


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_escapes_texts_and_loads_nothing(command: Command, sample_model: Path) -> None:
    command("explain", sample_model, "--text", TEXT + " <script>alert(1)</script>", "--output", "why.html").ok()
    content = Path("why.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(content)
    assert {"script", "img", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    assert not re.search(r"https?://|url\(|@import|src=", content)
    assert TEXT + " <script>alert(1)</script>" in page.text
    marked = [attrs["title"] for tag, attrs in page.tags if tag == "b"]
    assert any(str(title).startswith("+") for title in marked)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], 'give a FILE, or a text with --text "..."'),
        (["one.jsonl", "--text", "a"], "one of the two"),
        (["--text", "a", "--output", "why.pdf"], "--output why.pdf: name a file that ends in .html or .json."),
        (["--text", "a", "--label", "prnting"], "'prnting'"),
        (["--text", "a", "--mode", "drop"], "mode is 'drop'; choose delete or mask."),
        (["missing.jsonl"], "missing.jsonl"),
    ],
)
def test_mistakes_are_answered_with_advice(
    command: Command, sample_model: Path, arguments: list[str], sentence: str
) -> None:
    command("explain", sample_model, *arguments).refused(sentence)


def test_an_existing_file_is_replaced_only_when_asked(command: Command, sample_model: Path) -> None:
    Path("why.json").write_text("mine")
    command("explain", sample_model, "--text", "a", "--output", "why.json").refused("already exists")
    command("explain", sample_model, "--text", "a", "--output", "why.json", "--overwrite").ok()
    assert json.loads(Path("why.json").read_text(encoding="utf-8"))["documents"][0]["text"] == "a"
