"""The page of an experiment in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from taxotext.experiments.folder import ExperimentFolder
from taxotext.experiments.output import write_tables

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ASK = """<script>
const seen = kind => [...document.querySelectorAll(kind)].filter(one => one.getBoundingClientRect().height > 20).length;
const wide = document.documentElement.scrollWidth > window.innerWidth;
const loaded = performance.getEntriesByType("resource").length;
document.title = JSON.stringify({charts: seen("svg"), tables: seen("table"), wide, loaded});
</script>"""


@pytest.fixture
def browser() -> str:
    """A browser's program."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


@pytest.mark.integration
def test_a_browser_shows_tables_and_charts_and_loads_nothing_else(
    browser: str, computed: ExperimentFolder, tmp_path: Path
) -> None:
    folder = ExperimentFolder(Path(shutil.copytree(computed.path, tmp_path / "out")))
    write_tables(folder)
    page = folder.path / "table.html"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{ASK}</body>"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    seen = json.loads(title[1])
    assert seen["charts"] >= 2
    assert seen["tables"] >= 2
    assert not seen["wide"], "the page is wider than the window"
    assert seen["loaded"] == 0, "the page loads other files"
