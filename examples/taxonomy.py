"""A taxonomy: what it adds to the labels of the data, and what it does to the answers."""

from __future__ import annotations

from importlib.resources import as_file, files

from taxotext import Classifier, Taxonomy, read_corpus, read_taxonomy
from taxotext.labels import draw


def main() -> None:
    # By hand: (parent, child), None above the top level. A label may have several parents.
    small = Taxonomy.from_edges([(None, "arts"), (None, "science"), ("arts", "music"), ("music", "acoustics"),
                                 ("science", "acoustics")])  # fmt: skip
    print(draw(small))
    print("above acoustics:", [small.ids[i] for i in small.ancestors(small.index("acoustics"))])

    # From files. The labels of the sample are the most specific ones; reading adds their ancestors.
    with as_file(files("taxotext") / "sample") as sample:
        taxonomy = read_taxonomy(sample / "taxonomy.tsv", names=sample / "names.tsv")
        train, validation, test = (
            read_corpus(sample / f"{part}.jsonl", taxonomy) for part in ("train", "validation", "test")
        )
    print(f"\nlabels added by the closure: {train.report.labels_added}")

    # "up": a label scores at least what the labels below it score, so no answer hangs in the air.
    for consistency in ("none", "up"):
        model = Classifier("linear", decoding={"consistency": consistency}).fit(train, validation=validation)
        model.tune()
        result = model.evaluate(test)
        print(
            f"consistency {consistency:5} labels without their ancestors: {result['violation_rate']:.3f}   "
            + "   ".join(f"level {level}: {result[f'level_{level}_micro_f1']:.3f}" for level in (1, 2, 3))
        )


if __name__ == "__main__":
    main()
