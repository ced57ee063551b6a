"""One network trained by several processes: Lightning's data-parallel strategies.

Every process runs the same program: Lightning starts those of this machine, the user (or torchrun, or Slurm) those of
other machines. Each computes its share of every batch, gradients are averaged, and process 0 alone writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from taxotext.errors import ConfigError, nearest
from taxotext.messages import parameter

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
RANKS = ("RANK", "SLURM_PROCID", "LOCAL_RANK")
"""Environment variables with the number of a process, as torchrun, Slurm and Lightning set them; the first counts."""
NODE_RANKS = ("NODE_RANK", "GROUP_RANK")


class FollowerEnded(Exception):  # noqa: N818  # no error: the work of this process is done
    """A process that only helped to train has ended; process 0 goes on alone."""


@dataclass(frozen=True)
class Parallel:
    """Processes that train one network together.

    Args:
        devices: processes on each machine: GPUs, or processes that share out the cores.
        num_nodes: machines.
        strategy: one of :data:`STRATEGIES`; auto: the last one, which also trains networks some of whose parameters
            take no part in a batch.

    Raises:
        ConfigError: a number below 1, or a strategy that splits the network itself.
    """

    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        for name, value in (("devices", self.devices), ("num_nodes", self.num_nodes)):
            if value < 1:
                raise ConfigError(f"{parameter(name)} is {value}; give 1 or more.")
        if self.strategy not in STRATEGIES:
            raise ConfigError(
                f"{parameter('strategy')} is {self.strategy!r}; choose from {', '.join(STRATEGIES)}: every process "
                f"holds the whole network.{nearest(self.strategy, STRATEGIES)}"
            )

    @property
    def several(self) -> bool:
        """Whether there is more than one process."""
        return self.devices * self.num_nodes > 1

    @property
    def follows(self) -> bool:
        """Whether this process is not process 0: it writes nothing and ends behind the training."""
        if not self.several:
            return False
        rank = next((os.environ[name] for name in RANKS if name in os.environ), "0")
        node = next((os.environ[name] for name in NODE_RANKS if name in os.environ), "0")
        return rank != "0" or node != "0"

    @property
    def chosen(self) -> str:
        """The strategy by its name in Lightning."""
        if not self.several:
            return "auto"
        return STRATEGIES[-1] if self.strategy == "auto" else self.strategy
