"""What a command prints beside its result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress


@contextmanager
def results_only() -> Iterator[None]:
    """Whatever a library or the user's own code prints while the block lasts goes to standard error."""
    with redirect_stdout(sys.stderr):
        saved = None
        with suppress(OSError):  # no standard output: nothing to keep clean
            saved = os.dup(1)
            os.dup2(2, 1)
        try:
            yield
        finally:
            if saved is not None:
                os.dup2(saved, 1)
                os.close(saved)
