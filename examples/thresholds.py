"""Thresholds: tune them on validation data, look at what that did, change the rules by hand."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from taxotext import Classifier, read_corpus, read_taxonomy


def main() -> None:
    with as_file(files("taxotext") / "sample") as sample:
        taxonomy = read_taxonomy(sample / "taxonomy.tsv")
        train, validation, test = (
            read_corpus(sample / f"{part}.jsonl", taxonomy) for part in ("train", "validation", "test")
        )
    model = Classifier("linear", decoding={"consistency": "up"}).fit(train, validation=validation)

    # Everything is chosen on the validation messages; "label" gives each label a threshold of its own.
    print("method    before   after   held out   (micro-F1 on the validation messages)")
    for method in ("global", "level", "label"):
        report = model.tune(method=method)
        held_out = "" if report.cross_validated is None else f"{report.cross_validated:.3f}"
        print(f"{method:9} {report.before:6.3f}  {report.after:6.3f}   {held_out}")

    # The test messages are for the last step only.
    print(f"tuned on: {Path(model.decoding.tuned_on or '').name}")
    print(f"test: {model.evaluate(test)['micro_f1']:.3f}")

    # The rules are a value: change a copy and put it back, or use it for one call.
    text = ["The scanner sends a blank page and the Wi-Fi is slow."]
    print("tuned:   ", model.predict(text)[0])
    model.decoding = model.decoding.model_copy(update={"top_k": 1, "exclude": ("billing",), "never_empty": True})
    print("by hand: ", model.predict(text)[0])


if __name__ == "__main__":
    main()
