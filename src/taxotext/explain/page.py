"""Explanations as HTML: texts with their words coloured, to stand in a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from taxotext.charts.html import document, table
from taxotext.explain.explanation import Explanation

STYLE = """
.text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.9; background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; padding: .7rem; margin: .4rem 0 1rem; }
.text b { font-weight: inherit; border-radius: 3px; padding: .1em .05em; }
.text b.p { background: color-mix(in srgb, var(--c0) var(--w), transparent); }
.text b.n { background: color-mix(in srgb, var(--c1) var(--w), transparent); text-decoration: underline dotted; }
.text b.a { background: color-mix(in srgb, var(--c2) var(--w), transparent); }
"""
SHOWN = 0.04
"""Share of the strongest word from which a word is coloured."""
LITTLE = 0.01
"""Importance up to which a word is never coloured strongly."""
STRONGEST = 65
"""Per cent of colour behind the strongest word, so that its letters can be read."""
LISTED = 8
"""Words in a table."""
SET = "the predicted set"


def page(explanations: Sequence[Explanation], title: str) -> str:
    """Return a page of explanations that loads nothing from elsewhere."""
    body = [
        f"<h1>{escape(title)}</h1>",
        '<p class="soft">How much a score falls when a word is left out: blue words speak for the label, orange '
        "underlined ones against it. The pointer over a word shows the number.</p>",
    ]
    for number, explained in enumerate(explanations, 1):
        if len(explanations) > 1:
            body.append(f"<h2>Document {number}</h2>")
        body += sections(explained)
    return document(title, body, STYLE)


def sections(explained: Explanation, labels: Sequence[str] | None = None) -> list[str]:
    """Return the HTML of one explanation; with ``labels`` of these only, without the predicted set."""
    body = []
    wanted: list[str | None] = list(explained.labels if labels is None else labels)
    if labels is None:
        predicted = ", ".join(named(explained, label) for label in explained.predicted) or "no label"
        body.append(f"<p>Predicted: <strong>{escape(predicted)}</strong></p>")
        wanted += [None] if len(explained.predicted) > 1 else []
    for label in wanted:
        body.append(f"<h3>{escape(heading(explained, label))}</h3>")
        body.append(coloured(explained, label))
        words, passages = strongest(explained, label)
        listed = " · ".join(f"{escape(word)} <strong>{value}</strong>" for word, value in words)
        body.append(f'<p class="words">{listed or "No word changes it."}</p>')
        if passages:
            body.append(table(("passage", "importance"), passages))
        if label is not None and label in explained.attention:
            body.append('<p class="soft">Attention of the label</p>')
            body.append(_marked(explained, explained.attention[label], "a"))
    body += [f'<p class="soft">{escape(note)}</p>' for note in explained.notes]
    return body


def named(explained: Explanation, label: str) -> str:
    """Id and display name of a label.

    Labels that are predicted without being explained have their id alone.
    """
    name = explained.names.get(label)
    return label if name in (None, label) else f"{label} ({name})"


def heading(explained: Explanation, label: str | None) -> str:
    """What is explained, with its score."""
    if label is None:
        return f"{SET[:1].upper()}{SET[1:]}: fall of its log-probability"
    score = float(explained.scores[explained.labels.index(label)])
    return f"{named(explained, label)}: {score:.3f}" + ("" if label in explained.predicted else ", not predicted")


def strongest(explained: Explanation, label: str | None) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The strongest words, and passages of a long text, with their importance."""
    words = [(explained.word(place), signed(value)) for place, value in explained.best(label, LISTED)]
    passages = []
    for place, value in explained.best(label, 3, explained.passages):
        start, stop = explained.passages.places[place].tolist()
        passages.append((shortened(explained.text[start:stop]), signed(value)))
    return words, passages


def strengths(values: NDArray[np.float32]) -> list[float]:
    """Importance as a share of the largest, −1 to 1; where nothing changes a score by much, nothing is near 1."""
    shares: list[float] = (values / max(float(np.abs(values).max(initial=0)), LITTLE)).tolist()
    return shares


def signed(value: float) -> str:
    """A difference with its sign, three digits behind the point or two that count.

    >>> signed(0.25), signed(-0.00002), signed(1e-9)
    ('+0.250', '−2e-05', '+1e-09')
    """
    size = abs(value)
    shown = f"{size:.3f}" if size >= 0.0005 or not size else f"{size:.0e}"
    return ("−" if value < 0 else "+") + shown


def shortened(text: str, most: int = 160) -> str:
    """A text in one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def coloured(explained: Explanation, label: str | None) -> str:
    """The text with its words coloured by their importance."""
    column = None if label is None else explained.labels.index(label)
    values = explained.words.of_set if column is None else explained.words.importance[:, column]
    return _marked(explained, values, "p")


def _marked(explained: Explanation, values: NDArray[np.float32], kind: str) -> str:
    pieces, place = [], 0
    rows = zip(explained.words.places.tolist(), values.tolist(), strengths(values), strict=True)
    for (start, stop), value, strength in rows:
        if abs(strength) < SHOWN:
            continue
        pieces.append(escape(explained.text[place:start]))
        colour = "n" if value < 0 else kind
        share = round(STRONGEST * abs(strength))
        word = escape(explained.text[start:stop])
        pieces.append(f'<b class="{colour}" style="--w:{share}%" title="{signed(value)}">{word}</b>')
        place = stop
    pieces.append(escape(explained.text[place:]))
    return f'<div class="text">{"".join(pieces)}</div>'
