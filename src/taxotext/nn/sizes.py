"""Modules that must not become larger than what is there for them: stopped while they are built."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn.modules import module as modules

from taxotext.errors import TaxotextError


@contextmanager
def limited(numbers: int, tensors: int, error: Callable[[], TaxotextError]) -> Iterator[None]:
    """Stop the building of modules that take more than they may.

    Parameters and buffers are counted when a module registers them, before they are filled: a size that somebody made
    up costs no memory. Only the modules that this thread builds are counted.

    Args:
        numbers: in all parameters and buffers together at most.
        tensors: parameters and buffers at most.
        error: makes what is raised.

    Raises:
        TaxotextError: as ``error`` makes it.
    """
    thread = threading.get_ident()
    counted = [0, 0]

    def count(module: Any, name: str, value: Tensor | None) -> None:
        if value is None or threading.get_ident() != thread:
            return
        counted[0] += value.numel()
        counted[1] += 1
        if counted[0] > numbers or counted[1] > tensors:
            raise error()

    hooks = (
        modules.register_module_parameter_registration_hook(count),
        modules.register_module_buffer_registration_hook(count),
    )
    try:
        yield
    except RuntimeError as failure:
        if "allocate memory" not in str(failure):  # one tensor that is larger than the machine
            raise
        raise error() from failure
    finally:
        for hook in hooks:
            hook.remove()
