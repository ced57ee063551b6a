"""Write model folders of the present format: ``python tests/golden/folders.py``.

Every later version must read them and predict alike. They are written once for each format version and never changed:
the script refuses where one is there. What is expected of a folder is in the JSON file of the same name beside it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden.fits import corpora, fitted, write_sources

FOLDERS = Path(__file__).with_name("folders")
KEPT = ("linear", "kim_cnn")
"""Fits whose folders are kept."""
ODD_TEXTS = ("?", "unseen words alone", "cat dog trout " * 30)


METRICS = ("micro_f1", "hierarchical_micro_f1", "ndcg@3", "brier")
TUNING = {"method": "level", "calibration": "temperature"}


def main() -> None:
    _, _, texts, labels = corpora()
    texts, labels = [*texts, *ODD_TEXTS], [*labels, [], [], ["cats", "dogs", "fish"]]
    with tempfile.TemporaryDirectory() as scratch:
        sources = write_sources(Path(scratch))
        for name in KEPT:
            model = fitted(name, sources)
            model.save(Path(scratch) / name)
            version = json.loads((Path(scratch) / name / "config.json").read_text(encoding="utf-8"))["format_version"]
            place = FOLDERS / f"v{version}-{name}"
            if place.exists():
                raise SystemExit(f"{place} is there already, and is not changed.")
            metrics = model.evaluate(texts, labels)
            expected = {
                "texts": texts,
                "labels": labels,
                "classes": model.classes_.tolist(),
                "probabilities": [[round(float(number), 7) for number in row] for row in model.predict_proba(texts)],
                "metrics": {key: metrics[key] for key in METRICS},
            }
            model.save(place)
            model.tune(**TUNING)
            expected["tuned_predictions"] = model.predict(texts)
            rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in expected.items())
            place.with_name(f"{place.name}.json").write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
