"""``taxotext data``."""

import typer

app = typer.Typer(help="Look at corpora, split and convert them.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """Look at corpora, split and convert them."""
