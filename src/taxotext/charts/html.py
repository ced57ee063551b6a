"""Pages of one file: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from taxotext.charts.chart import TEXT_STYLE, palette

NUMERIC = frozenset("0123456789–+-")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto;
  padding: 1.5rem 1rem 4rem; max-width: 70rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.4rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; } p { margin: .3rem 0 .8rem; } .soft { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; } td.n { white-space: nowrap; }
tbody tr:hover { background: var(--panel); } li { margin: .25rem 0; overflow-wrap: anywhere; }
.charts { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
.charts > div { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .7rem; }
svg { width: 100%; height: auto; display: block; }
"""


def document(title: str, body: Sequence[str], style: str = "") -> str:
    """Return a whole page.

    Args:
        title: text, not HTML.
        body: HTML, put below each other.
        style: CSS beside :data:`STYLE`.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{palette()}{STYLE}{TEXT_STYLE}{style}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> str:
    """Return a table of texts, which are escaped; columns of numbers are set to the right."""
    numeric = [all(row[column][:1] in NUMERIC for row in rows) for column in range(len(head))]

    def cell(tag: str, text: str, column: int) -> str:
        kind = ' class="n"' if numeric[column] and column else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    names = "".join(cell("th", text, column) for column, text in enumerate(head))
    lines = ["".join(cell("td", text, column) for column, text in enumerate(row)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'{heading}<div class="wide"><table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>'
