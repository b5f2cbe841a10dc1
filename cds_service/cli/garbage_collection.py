# SPDX-License-Identifier: Apache-2.0
"""When the garbage collector looks: not while a program starts, when nothing is garbage yet."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep the garbage collector from looking while modules and packs are loaded.

    It would look at all that is there again and again: a fifth of the time of a start.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
