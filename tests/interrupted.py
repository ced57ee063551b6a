"""Runs that end without a word at a chosen call, and what their resumed runs must equal."""

from __future__ import annotations

import inspect
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from taxotext import Classifier


class Cut(BaseException):
    """The moment at which a process ends without a word."""


@dataclass
class Moment:
    """Whether the end came, and how many calls were made until then."""

    came: bool = False
    calls: int = 0


@contextmanager
def cut_at(
    holder: Any,
    name: str,
    call: int = 1,
    *,
    when: Callable[..., bool] | None = None,
    after: bool = False,
    leave: Callable[..., None] | None = None,
    error: type[BaseException] = Cut,
    may_end: bool = False,
) -> Iterator[Moment]:
    """End the block, as ``kill -9`` would, in place of a call of ``holder.name``; that must happen.

    Args:
        holder: a module or a class.
        name: of its function.
        call: which of the calls is the last.
        when: says so of a call with these arguments, in place of ``call``.
        after: the last call does its work first.
        leave: what the dying process does with the arguments of that call.
        error: raised in place of :class:`Cut`.
        may_end: the block may also come to its end.
    """
    original, moment = getattr(holder, name), Moment()

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        moment.calls += 1
        if not (when(*arguments, **keywords) if when else moment.calls == call):
            return original(*arguments, **keywords)
        if after:
            original(*arguments, **keywords)
        if leave is not None:
            leave(*arguments, **keywords)
        moment.came = True
        raise error

    bound = inspect.isclass(holder) and inspect.ismethod(original)  # a classmethod
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holder, name, staticmethod(wrapped) if bound else wrapped)
        try:
            yield moment
        except error:
            assert moment.came
        else:
            assert may_end, f"{name} was called {moment.calls} times, and the block came to its end"


def cut_at_batch(batch: int) -> AbstractContextManager[Moment]:
    """End a training by gradient descent in a batch of the whole training, counted from 0."""
    from taxotext.training.module import TextModule

    return cut_at(TextModule, "training_step", when=lambda module, tensors, index: index == batch)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Files of this process cannot grow beyond ``size`` bytes; Python ignores the signal that comes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def check_same_model(resumed: Classifier, whole: Classifier) -> None:
    """Equal bits of weights, equal metrics, equal scores held out."""
    import torch

    expected, found = (model.system.network.state_dict() for model in (whole, resumed))  # type: ignore[attr-defined]
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert resumed.manifest.metrics == whole.manifest.metrics
    held_out, there = resumed.manifest.held_out, whole.manifest.held_out
    assert (held_out is None) == (there is None)
    if held_out is not None and there is not None:
        assert np.array_equal(held_out.scores.toarray(), there.scores.toarray())
