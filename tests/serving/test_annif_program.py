"""The real Annif with an ``http`` backend that asks a running server; in an environment of its own.

The environment variable TAXOTEXT_ANNIF names the program ``annif``, else it is looked for on the PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import taxotext
from serving.test_serve_command import process, until_ready

ADDRESS = "http://example.org/"
TEXT = "the cat sees a dog"
PROJECTS = """[taxotext]
name=Taxotext
language=en
backend=http
vocab=pets
endpoint={address}/v1/projects/pets/suggest
"""


@pytest.mark.integration
def test_annif_suggests_what_the_server_answers(tmp_path: Path) -> None:
    annif = os.environ.get("TAXOTEXT_ANNIF") or shutil.which("annif")
    if annif is None:
        pytest.skip("annif is not installed")
    texts = ["the cat purrs", "the dog barks", "cat and dog play", "rain falls"] * 4
    labels = [[f"{ADDRESS}{name}" for name in ("cat", "dog") if name in text] for text in texts]
    classifier = taxotext.Classifier("linear", features__min_documents=1).fit(texts, labels)
    classifier.save(tmp_path / "pets")
    (tmp_path / "pets.tsv").write_text("".join(f"<{ADDRESS}{name}>\t{name}\n" for name in ("cat", "dog")))
    with process(tmp_path / "pets", "--threads", 1) as (_, address):
        until_ready(address)
        (tmp_path / "projects.cfg").write_text(PROJECTS.format(address=address))

        def run(*arguments: str, given: str = "") -> str:
            done = subprocess.run([annif, *arguments], cwd=tmp_path, input=given, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert "failed" not in done.stderr
            return done.stdout

        run("load-vocab", "--language", "en", "pets", "pets.tsv")
        shown = run("show-project", "taxotext")
        suggested = [line.split("\t") for line in run("suggest", "taxotext", given=TEXT).splitlines()]
    assert "True" in shown
    [expected] = classifier.suggest([TEXT])
    assert [(f"<{label}>", round(score, 4)) for label, score in expected] == [
        (uri, round(float(score), 4)) for uri, _, score in suggested
    ]
