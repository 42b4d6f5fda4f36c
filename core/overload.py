"""When a machine cannot do what it was asked: requests that take too long, and memory that is not there."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

import torch

from headlight.core.errors import OutOfMemoryError, TooLongError

T = TypeVar("T")
Check = Callable[[], None]

# What torch's allocators say (CPU on Linux, on Windows; CUDA and MPS), since only CUDA's error has a class of its own.
_SAID = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")


def go_on() -> None:
    """The check of somebody who never wants to stop."""


def within(seconds: float, check: Check, clock: Callable[[], float] = time.monotonic) -> Check:
    """A check to be called between the parts of a computation: raises what `check` raises, and TooLongError after so many
    seconds from now."""
    end = clock() + seconds

    def both() -> None:
        check()
        if clock() > end:
            raise TooLongError(f"this took longer than {seconds:g} s, which is the limit here, and was stopped")

    return both


def short_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory, in Python's or one of torch's ways."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _SAID)


def with_room(work: Callable[[], T], let_go: Callable[[], None]) -> T:
    """What `work` returns. Where there is no memory for it, what it had is given back, `let_go` is called to drop what can be
    made again, and OutOfMemoryError is raised, which holds nothing of the work."""
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, OutOfMemoryError) or not short_of_memory(error):
            raise
        error.with_traceback(None)
    # Outside of the handler: an error raised inside would keep the other one, its frames and all their tensors alive.
    let_go()
    free()
    raise OutOfMemoryError(
        "there was not enough memory for this; some was made free, so try again, or something smaller"
    )


def free() -> None:
    """Gives back to the system, or to other users of the device, what nobody holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
