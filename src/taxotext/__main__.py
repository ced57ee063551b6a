"""``python -m taxotext`` is the command ``taxotext``."""

from taxotext.cli import main

main()
