"""Files of a training along the taxonomy that cannot be read: which one, and what brings it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taxotext.errors import ModelFolderError, TaxotextError


@contextmanager
def explaining_damage(path: Path) -> Iterator[None]:
    """Turn what a missing or damaged file makes its reader raise into a sentence.

    Args:
        path: in a folder of :class:`taxotext.binary.plan.Files`; which one decides what is to be done.

    Raises:
        ModelFolderError: the file cannot be read.
    """
    try:
        yield
    except TaxotextError:
        raise
    except Exception as error:  # numpy, torch and safetensors each have their own
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelFolderError(f"{path}: cannot be read ({reason}). {_advice(path)}") from error


def _advice(path: Path) -> str:
    if path.parent.name == "shared":
        return f"Remove the folder {path.parent}: it is written again with --resume."
    label = path.name.partition(".")[0]
    return f"Remove it and {path.parents[1]}/done/{label}.*: the fits of that label are computed again with --resume."
