"""The report in a real browser: nothing is loaded, nothing is wider than a telephone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.tiny import tiny_corpus, tiny_fit

from taxotext.progress import Silent
from taxotext.report.writing import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ASK = """<script>
const seen = kind => [...document.querySelectorAll(kind)].filter(one => one.getBoundingClientRect().height > 20).length;
const wide = document.documentElement.scrollWidth - window.innerWidth;
const loaded = performance.getEntriesByType("resource").length;
document.title = JSON.stringify({charts: seen("svg"), tables: seen("table"), wide, loaded});
</script>"""


@pytest.mark.integration
@pytest.mark.parametrize("width", [500, 1400])
def test_a_browser_shows_the_report_and_loads_nothing_else(width: int, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    tiny_fit("kim_cnn", training={"epochs": 3}).save(tmp_path / "model")
    corpus = tiny_corpus(30, seed=9)
    content = report([tmp_path / "model"], lambda _: corpus, worst=3, explained=2, runtime={}, reporter=Silent())
    page = tmp_path / "report.html"
    page.write_text(content.replace("</body>", f"{ASK}</body>"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    seen = json.loads(title[1])
    assert seen["charts"] >= 6
    assert seen["tables"] >= 4
    assert seen["wide"] <= 0, "the page is wider than the window"
    assert seen["loaded"] == 0, "the page loads other files"
