"""``taxotext explain``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxotext.cli.options import Device, InputFormat, OnBadLine, Threads, given
from taxotext.messages import printable, printable_in_place

if TYPE_CHECKING:
    from taxotext.api import Classifier
    from taxotext.explain.explanation import Explanation

SUFFIXES = (".html", ".json")
LEAST = 0.001
"""Change of a score below which no word matters."""
BAR = 16
"""Letters of the longest bar."""


def explain(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    input: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="File as for predict, or - for JSON lines on stdin.")
    ] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text itself; several times.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Explain this label, predicted or not; several times. Else the predicted ones."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="x.html, a page, or x.json; the terminal when left out.")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="delete: leave words out; mask: put a word there that the model knows nothing of.")
    ] = "delete",
    documents: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Documents of FILE that are explained, from the first.")
    ] = 10,
    max_words: Annotated[
        int, typer.Option(min=1, max=100_000, help="Words of a text that are left out one by one, at most.")
    ] = 400,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing output file.")] = False,
    text_field: Annotated[
        list[str] | None, typer.Option("--text-field", help="Text field of FILE; several times to join fields.")
    ] = None,
    input_format: InputFormat = None,
    on_bad_line: OnBadLine = "error",
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Show which words of a text a label was chosen for.

    A word matters as much as the score of the label falls without it. Texts of 100 words and more are also cut into
    passages, and each is left out as a whole.

    Examples:

    \b
      taxotext explain model --text "The Wi-Fi in room 12 is down"
      taxotext explain model --text "The Wi-Fi in room 12 is down" --label printing
      taxotext explain model test.jsonl --documents 5 --output why.html
    """
    from taxotext.api import load
    from taxotext.cli.output import lines_to
    from taxotext.cli.reporter import make_reporter
    from taxotext.errors import ConfigError

    if output is not None and output.suffix not in SUFFIXES:
        raise ConfigError(f"--output {output}: name a file that ends in {' or '.join(SUFFIXES)}.")
    if (input is None) == (not text):
        raise ConfigError('explain: give a FILE, or a text with --text "..."; one of the two.')
    classifier = load(model, **given(device=device, threads=threads))
    reporter = make_reporter()
    texts = list(text or ())
    if input is not None:
        texts, more = _read(classifier, input, text_field, on_bad_line, input_format, documents)
        if more:
            first = "document is" if documents == 1 else f"{documents:,} documents are"
            reporter.note(f"{input}: the first {first} explained; --documents N explains more.")
    checked: Any = mode  # by explain
    found = classifier.explain(texts, label or None, mode=checked, max_words=max_words, reporter=reporter)
    if output is None:
        _show(found)
        return
    with lines_to(output, overwrite=overwrite) as file:
        file.write(_page(found, model) if output.suffix == ".html" else _json(found, classifier.system.name))
    reporter.note(f"Wrote {output}.")


def _read(
    classifier: Classifier,
    name: str,
    fields: list[str] | None,
    on_bad_line: str,
    input_format: str | None,
    most: int,
) -> tuple[list[str], bool]:
    """The first texts of a file, and whether there are more."""
    from itertools import islice

    from taxotext.api.reading import columns_of
    from taxotext.data import read_documents
    from taxotext.data.columns import ReadReport

    report = ReadReport()
    source: Any = sys.stdin.buffer if name == "-" else Path(name)
    found = read_documents(
        source,
        columns_of(classifier, text=tuple(fields) if fields else None),
        format=input_format or ("jsonl" if name == "-" else None),
        on_bad_line=on_bad_line,
        labelled=False,
        report=report,
    )
    texts = [document.text for document in islice(found, most + 1)]
    classifier.system.check_source(report.feature_vectors, name)
    return texts[:most], len(texts) > most


def _page(found: list[Explanation], model: Path) -> bytes:
    from taxotext.explain.page import page

    return page(found, f"Why {model.name} chose its labels").encode()


def _json(found: list[Explanation], system: str) -> bytes:
    import orjson

    content = {"system": system, "documents": [explained.to_dict() for explained in found]}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"


def _show(found: list[Explanation]) -> None:
    """Print explanations: words in colours where there are some, and a list that needs none."""
    from rich.console import Console
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    console = Console(highlight=False, soft_wrap=True) if on_terminal else Console(highlight=False, width=100)
    for number, explained in enumerate(found, 1):
        if len(found) > 1:
            console.print(Text(f"Document {number} of {len(found)}", style="bold underline"))
        _show_one(console, explained)


def _show_one(console: Any, explained: Explanation) -> None:
    from rich.text import Text

    from taxotext.explain.page import heading, named, shortened, strongest

    def say(line: str, style: str = "") -> None:
        console.print(Text(printable(line, lines=True), style=style))

    predicted = ", ".join(named(explained, one) for one in explained.predicted) or "(no label)"
    say(f"Predicted: {predicted}")
    wanted: list[str | None] = list(explained.labels)
    if len(explained.predicted) > 1:
        wanted.append(None)
    for label in wanted:
        say(f"\n{heading(explained, label)}", style="bold")
        if console.is_terminal and console.color_system is not None:
            console.print(_coloured(explained, label))
        words, passages = strongest(explained, label)
        values = explained.best(label, len(words))
        top = max((abs(value) for _, value in values), default=1.0)
        width = max((len(shortened(word, 24)) for word, _ in words), default=0)
        attention = None if label is None else explained.attention.get(label)
        for (word, shown), (place, value) in zip(words, values, strict=True):
            bar = ("█" if value > 0 else "░") * max(1, round(BAR * abs(value) / top))
            share = "" if attention is None else f"  attention {100 * float(attention[place]):.1f} %"
            line = f"  {shown:>8}  {shortened(word, 24):{width}}  {bar:{BAR}}{share}"
            say(line.rstrip())
        if not words:
            say("  No word changes it.")
        elif label is not None and top < LEAST:
            say("  No single word matters here: others say the same.", style="italic")
        for passage, shown in passages:
            say(f"  {shown:>8}  “{shortened(passage, 100)}”", style="dim")
    for note in explained.notes:
        say(note, style="italic")
    console.print()


def _coloured(explained: Explanation, label: str | None) -> Any:
    """The text; green words speak for the label, red ones against it, the bold ones most."""
    from rich.text import Text

    from taxotext.explain.page import SHOWN, strengths

    column = None if label is None else explained.labels.index(label)
    values = explained.words.of_set if column is None else explained.words.importance[:, column]
    text = Text(printable_in_place(explained.text))
    for (start, stop), value in zip(explained.words.places.tolist(), strengths(values), strict=True):
        if abs(value) >= SHOWN:
            strong = "bold " if abs(value) > 0.5 else "" if abs(value) > 0.2 else "dim "
            text.stylize(f"{strong}{'green' if value > 0 else 'red underline'}", start, stop)
    return text
