"""A classifier inside scikit-learn's tools: cross-validation, a pipeline, and a search over settings."""

from __future__ import annotations

import re
from importlib.resources import as_file, files

from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from taxotext import Classifier, read_corpus, read_taxonomy


def without_numbers(texts: list[str]) -> list[str]:
    return [re.sub(r"\d+", "", text) for text in texts]


def main() -> None:
    with as_file(files("taxotext") / "sample") as sample:
        corpus = read_corpus(sample / "train.jsonl", read_taxonomy(sample / "taxonomy.tsv"))
    # scikit-learn wants one row of 0 and 1 for each text; predict then answers in the same form.
    texts, y = list(corpus.texts), corpus.targets.toarray().astype(int)

    # A classifier that is fitted on a matrix scores micro-F1 and takes any metric of scikit-learn for `scoring`.
    parts = KFold(3, shuffle=True, random_state=0)
    model = Classifier("linear", decoding__threshold=0.3)
    scores = cross_val_score(model, texts, y, cv=parts)
    print("micro-F1 of 3 parts:", scores.round(3))

    # Settings by their path: two underscores between the steps, the name of the step in the pipeline first.
    search = GridSearchCV(
        Pipeline([("clean", FunctionTransformer(without_numbers)), ("labels", model)]),
        {"labels__classifier__c": [0.1, 0.5, 2.0]},
        scoring="f1_micro",
        cv=parts,
    )
    search.fit(texts, y)
    print("best settings:", search.best_params_)
    print("predict gives:", search.best_estimator_.predict(texts[:2]).shape)


if __name__ == "__main__":
    main()
