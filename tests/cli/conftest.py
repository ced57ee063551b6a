"""Fixtures of the ``taxotext data`` commands."""

from data_commands import run as run
from data_commands import small as small
