"""Your own texts and labels as Python lists: fit, predict, save, load."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import taxotext

# One list of labels for each text; a text may have several labels, or none.
DATA = [
    ("The soup was cold and the waiter forgot our drinks.", ["food", "service"]),
    ("Cold chips, cold soup, cold coffee.", ["food"]),
    ("Lovely soup and a fresh salad.", ["food"]),
    ("The salad was fresh, the coffee was not.", ["food"]),
    ("We waited an hour until the waiter came.", ["service"]),
    ("A friendly waiter who knew every dish.", ["service"]),
    ("Nobody answered when we rang to book a table.", ["service"]),
    ("Far too expensive for two cups of coffee.", ["price"]),
    ("Expensive, and the bill was wrong as well.", ["price"]),
    ("Fair price, friendly waiter.", ["price", "service"]),
    ("The bill was higher than the price on the card.", ["price"]),
    ("Expensive salad, small portion.", ["food", "price"]),
    ("We went there on a Tuesday.", []),
    ("It is opposite the station.", []),
]


def main() -> None:
    texts, labels = [text for text, _ in DATA], [given for _, given in DATA]
    # By default a word must occur in two texts to count; that is too strict for so few.
    model = taxotext.Classifier("linear", features={"min_documents": 1})
    model.fit(texts, labels)
    model.tune(method="global")  # one threshold, found by cross-fitting over the same texts

    new = ["We waited for the waiter", "Expensive soup", "Open from nine"]
    for text, answer in zip(new, model.predict(new), strict=True):
        print(f"{text:26} {answer}")
    print("columns:", *model.taxonomy.ids)
    print(model.predict_proba(new).round(2))  # all labels, one row for each text

    with TemporaryDirectory() as folder:
        model.save(f"{folder}/model")
        again = taxotext.load(f"{folder}/model")
        print("the same after loading:", bool((again.predict_proba(new) == model.predict_proba(new)).all()))


if __name__ == "__main__":
    main()
