"""The page in a real browser: by hand and by keyboard, on a telephone, with hostile names and very many labels.

Needs Chromium and the package ``playwright``.
"""

from __future__ import annotations

import csv
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import taxotext
from serving.test_serve_command import process, until_ready
from taxotext import Taxonomy

pytestmark = pytest.mark.integration

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TEXT = "The projector shows no picture, and the printer prints blank pages. I lost my badge."
SHOUT = "<img src=x onerror=\"document.title='hacked'\">"
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    driver = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with driver.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def large_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 labels on two levels, the first with names that try to be HTML."""
    groups = [f"g{group}" for group in range(200)]
    edges = [(None, group) for group in groups] + [(group, f"{group}-{one}") for group in groups for one in range(99)]
    names = {f"{group}-{one}": f"Topic {group} {one}" for group in groups for one in range(99)} | {"g0-0": SHOUT}
    texts = [f"word{place % 40} and word{place % 7}" for place in range(400)]
    labels = [[f"g{place % 40}-0"] for place in range(400)]
    taxonomy = Taxonomy.from_edges(edges, names=names)
    model = taxotext.Classifier("linear", features__min_documents=1).fit(texts, labels, taxonomy=taxonomy, tune=False)
    model.save(tmp_path_factory.mktemp("large") / "large")
    return tmp_path_factory.getbasetemp() / "large0" / "large"


@pytest.fixture(scope="module")
def address(sample_model: Path, large_model: Path) -> Iterator[str]:
    with process(sample_model, large_model, "--threads", 1, "--characters", 5000) as (_, address):
        until_ready(address)
        yield address


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Open]:
    """Opens the page; at the end nothing was loaded from elsewhere and nothing was complained of."""
    contexts, complaints, foreign = [], list[str](), list[str]()

    def show(width: int = 1400, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, **options)
        contexts.append(context)
        found = context.new_page()
        found.on("console", lambda message: complaints.append(message.text))
        found.on("pageerror", lambda error: complaints.append(str(error)))
        found.on("request", lambda request: foreign.append(request.url) if not _own(request.url, address) else None)
        found.goto(address)
        until(found, "document.getElementById('about').textContent")
        return found

    yield show
    for context in contexts:
        context.close()
    assert not [one for one in complaints if "413" not in one]  # the browser tells of texts that were refused
    assert not foreign


def _own(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:,", "blob:"))


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true; the policy of the page forbids the browser to wait for it."""
    end = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        time.sleep(0.02)


def asked(page: Any, text: str = TEXT) -> Any:
    page.fill("#text", text)
    page.click("text=Suggest labels")
    page.wait_for_selector("#tree li")
    return page


def accepted(page: Any) -> list[str]:
    return [name.removesuffix(" ×") for name in page.locator("#accepted button").all_inner_texts()]


def file_of(page: Any, button: str, tmp_path: Path) -> Path:
    with page.expect_download() as download:
        page.click(button)
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_labels_are_accepted_rejected_and_taken_along(page: Open, sample_model: Path, tmp_path: Path) -> None:
    classifier, shown = taxotext.load(sample_model), asked(page())
    [predicted] = classifier.predict([TEXT])
    assert set(accepted(shown)) == set(predicted)
    first = accepted(shown)[0]
    shown.click(f'[aria-label="reject {first}"]')
    assert first not in accepted(shown)
    shown.fill("#search", "vpn")
    shown.locator("#found button").first.click()
    assert "vpn" in accepted(shown)
    record = json.loads(file_of(shown, "#json", tmp_path).read_text(encoding="utf-8"))
    assert record["text"] == TEXT
    assert set(record["labels"]) == {*predicted, "vpn"} - {first}
    with file_of(shown, "#csv", tmp_path).open(encoding="utf-8", newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == set(record["labels"])


def test_labels_stand_below_their_parents_with_their_scores(page: Open, sample_model: Path) -> None:
    classifier, shown = taxotext.load(sample_model), asked(page())
    taxonomy, scores = classifier.taxonomy, dict(classifier.suggest([TEXT], k=46)[0])
    rows = shown.evaluate(
        """[...document.querySelectorAll('#tree .label')].map(row => [row.querySelector('.name').textContent,
        row.querySelector('.score').textContent, row.closest('li').parentElement.closest('li')
            ?.querySelector('.name, .above').textContent ?? null])"""
    )
    assert len(rows) >= 12
    for name, score, above in rows:
        parents = taxonomy.parents(taxonomy.index(name)).tolist()
        assert above in ({taxonomy.ids[one] for one in parents} or {None})
        assert score == f"{scores[name]:.2f}"


def test_the_threshold_decides_what_is_accepted(page: Open, sample_model: Path) -> None:
    shown = asked(page())
    scores = dict(taxotext.load(sample_model).suggest([TEXT], k=46)[0])
    for threshold in ("0.1", "0.4", "0"):
        shown.locator("#threshold").fill(threshold)
        assert set(accepted(shown)) == {label for label, score in scores.items() if score > float(threshold)}
    assert not shown.locator("#own").is_checked()


def test_words_are_coloured_by_their_importance(page: Open, sample_model: Path) -> None:
    shown = asked(page(), f"💡 {TEXT}")  # a letter of two halves before all words
    name = shown.locator("#tree .name").first.inner_text()
    shown.locator("#tree .name").first.click()
    shown.wait_for_selector("#words b")
    [found] = taxotext.load(sample_model).explain([f"💡 {TEXT}"], [name])
    strongest = found.word(found.best(name, 1)[0][0])
    assert shown.locator("#strongest").inner_text().startswith(strongest)
    assert shown.locator("#words").inner_text() == f"💡 {TEXT}"
    words = set(TEXT.replace(",", "").replace(".", "").split())
    assert set(shown.locator("#words b").all_inner_texts()) <= words


def test_everything_is_reached_by_keyboard(page: Open) -> None:
    shown = page()
    shown.focus("#text")
    shown.keyboard.type("the printer is broken")
    shown.keyboard.press("Control+Enter")
    shown.wait_for_selector("#tree li")
    before = len(accepted(shown))
    shown.focus("#own")
    for _ in range(2):  # the slider, the first box
        shown.keyboard.press("Tab")
    focus = "document.activeElement.getAttribute('aria-label')"
    assert shown.evaluate(focus).startswith("accept ")
    shown.keyboard.press("Space")
    assert abs(len(accepted(shown)) - before) == 1
    assert shown.evaluate(focus).startswith("accept ")  # drawing again does not lose the place
    shown.keyboard.press("Tab")
    shown.keyboard.press("Enter")
    shown.wait_for_selector("#why:not([hidden])")
    assert shown.evaluate("document.activeElement.id") == "why-title"
    unnamed = shown.evaluate(
        """[...document.querySelectorAll('input, button, select, textarea')].filter(one =>
        !(one.labels?.length || one.textContent.trim() || one.getAttribute('aria-label'))).map(one => one.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_shows_all_of_it(page: Open, scheme: str) -> None:
    shown = asked(page(width=400, color_scheme=scheme))
    shown.locator("#tree .name").first.click()
    shown.wait_for_selector("#words b")
    assert shown.evaluate("document.documentElement.scrollWidth") <= 400
    ink, back = shown.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (ink, back)]
    assert (brightness[0] > brightness[1]) == (scheme == "dark")


def test_names_that_try_to_be_html_are_text_among_twenty_thousand_labels(page: Open) -> None:
    shown = page()
    shown.select_option("#model", "large")
    until(shown, "document.getElementById('about').textContent.includes('20,000')")
    asked(shown, f"word0 and word0 {SHOUT}")
    until(shown, "document.querySelectorAll('#accepted button').length > 0")
    assert SHOUT in accepted(shown)
    shown.get_by_role("button", name=SHOUT, exact=True).first.click()
    shown.wait_for_selector("#words b")
    assert SHOUT in shown.locator("#words").inner_text()
    start = time.monotonic()
    shown.fill("#search", "topic g199 98")
    assert shown.locator("#found-count").inner_text() == "1 label"
    shown.fill("#search", "topic")
    assert shown.locator("#found-count").inner_text() == "19,799 labels, the first 50 are shown"
    shown.locator("#threshold").fill("0.3")
    assert time.monotonic() - start < 20
    assert shown.locator("img").count() == 0
    assert shown.title() == "Taxotext"


def test_a_file_of_many_texts_is_labelled_with_progress(page: Open, sample_model: Path, tmp_path: Path) -> None:
    shown = page()
    texts = [f'printer {number}, it says "no paper";\nroom {number}' for number in range(130)]
    texts[70], texts[90] = "x" * 5001, ""
    with (tmp_path / "many.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
    shown.evaluate(
        """window.seen = []; new MutationObserver(() => seen.push(document.getElementById('progress').value))
        .observe(document.getElementById('progress'), {attributes: true})"""
    )
    shown.set_input_files("#batch", tmp_path / "many.csv")
    shown.wait_for_selector("#batch-result:not([hidden])")
    assert {50, 100, 130} <= set(shown.evaluate("window.seen"))
    assert "130 of 130 texts are labelled. 2 without labels have a note." in shown.locator("#status").inner_text()
    lines = file_of(shown, "#batch-jsonl", tmp_path).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["text"] for row in rows] == texts
    assert "5,001 characters" in rows[70]["note"]
    readable = [place for place in range(130) if place not in (70, 90)]
    predicted = taxotext.load(sample_model).predict([texts[place] for place in readable])
    assert [set(rows[place]["labels"]) for place in readable] == [set(own) for own in predicted]
    with file_of(shown, "#batch-csv", tmp_path).open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["text"] for row in written] == texts
    assert [row["labels"].split(";") if row["labels"] else [] for row in written] == [row["labels"] for row in rows]
    assert shown.locator("#rows tr").count() == 100


def test_mistakes_are_told(page: Open, tmp_path: Path) -> None:
    shown = page()
    shown.click("text=Suggest labels")
    assert "Type or paste a text first." in shown.locator("#status").inner_text()
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"body": "b"}\n', encoding="utf-8")
    shown.set_input_files("#batch", tmp_path / "a.jsonl")
    until(shown, "document.getElementById('status').textContent.includes('Line 2 has no field')")
