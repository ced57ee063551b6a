"""``taxotext data``: one file a verb."""

from __future__ import annotations

import typer

from taxotext.cli.data import check, convert, prepare, split, stats, tree

app = typer.Typer(
    help="Look at corpora and taxonomies, check, split and convert them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("stats")(stats.stats)
app.command("check")(check.check)
app.command("tree")(tree.tree)
app.command("split")(split.split)
app.command("convert")(convert.convert)
app.command("convert-taxonomy")(convert.convert_taxonomy)
app.command("prepare")(prepare.prepare)
