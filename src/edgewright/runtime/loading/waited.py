"""Loads and unloads that their caller waits for, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edgewright.core.errors import EdgewrightError
from edgewright.runtime.loading.loader import Done, Loader


class Waited:
    """The loader, for lanes whose calls may wait."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def load(self, name: str) -> None:
        """Load the model of that name where its files have changed. Raises what the loader tells."""
        self._wait(self._loader.load, name)

    def unload(self, name: str) -> None:
        """Stop serving all versions of that name. Raises what the loader tells."""
        self._wait(self._loader.unload, name)

    def _wait(self, order: Callable[[str, Done], None], name: str) -> None:
        over = threading.Event()
        told: list[EdgewrightError | None] = []

        def done(error: EdgewrightError | None) -> None:
            told.append(error)
            over.set()

        order(name, done)
        over.wait()
        if told[0] is not None:
            raise told[0]
