"""``taxotext status``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxotext.cli.options import AsJson
from taxotext.messages import printable

if TYPE_CHECKING:
    from taxotext.api.status import TrainingStatus
    from taxotext.binary.overview import FitsStatus


def status(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Model folder, or --output of a training.")],
    as_json: AsJson = False,
) -> None:
    """Say how far a training is: finished, at work or interrupted; works while it runs.

    For systems that are many small fits (htrans, gru_att) it counts labels, fits and epochs, says how much time is
    left, and how many labels chose which class weight; --json gives the class weight of each label.

    Examples:

    \b
      taxotext status model
      taxotext status model --json
    """
    from taxotext.api.status import training_status
    from taxotext.cli.output import write_json
    from taxotext.errors import ConfigError

    if (output / "experiment.json").is_file():
        raise ConfigError(f"{output}: is the folder of an experiment; look at it with `taxotext experiment status`.")
    found = training_status(output)
    if as_json:
        write_json(found.to_dict())
    else:
        sys.stdout.write("".join(f"{printable(line)}\n" for line in status_lines(found)))


def status_lines(status: TrainingStatus) -> list[str]:
    """A training for people: state and progress, class weights, and how to continue."""
    from taxotext.cli.output import clock
    from taxotext.messages import counted

    lines = [f"{status.output}: {status.system + ', ' if status.system else ''}{status.state}"]
    if status.fits is not None:
        lines += _fits_lines(status.fits)
    elif status.epochs_done is not None:
        scores = "".join(f", {name} {value:.4f}" for name, value in list(status.scores.items())[:3])
        lines.append(f"{status.epochs_done} of {counted(status.epochs or 0, 'epoch')} done{scores}.")
    if status.seconds is not None:
        lines.append(f"The whole training took {clock(status.seconds)}.")
    return [*lines, status.sentence]


def _fits_lines(status: FitsStatus) -> list[str]:
    from taxotext.cli.output import clock
    from taxotext.messages import counted

    labels, fits = status.labels, status.fits
    if status.epochs is None:
        trained = counted(status.epochs_done, "epoch")
        line = f"{counted(labels.planned, 'label')}, {counted(fits.planned, 'fit')}, {trained}, "
        lines = [f"{line}{clock(status.seconds)} of fitting."]
    else:
        waiting = labels.planned - labels.done - labels.at_work
        line = (
            f"{labels.done:,} of {counted(labels.planned, 'label')} done ({labels.at_work:,} at work, {waiting:,} "
            f"waiting), {fits.done:,} of {counted(fits.planned, 'fit')}, {status.epochs_done:,} of at most "
            f"{counted(status.epochs, 'epoch')}"
        )
        if status.seconds_left:
            processes = counted(status.processes or 1, "process", "processes")
            line += f"; about {clock(status.seconds_left)} left with {processes}"
        lines = [f"{line}."]
    if status.weights:
        chosen = ", ".join(
            f"{weight:g} ({counted(count, 'label')})" for weight, count in status.labels_by_weight().items()
        )
        lines.append(f"Class weights: {chosen}.")
    return lines
