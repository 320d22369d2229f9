"""The cameras of the demo's line: a thread beside each device asks its runtime about one image after the other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.agent.runtime import room
from edgewright.core.errors import EdgewrightError
from edgewright.runtime.client import Client
from edgewright.testing.site import Site

DEVICES = ("press-1", "press-2", "press-3")
DIGITS = Path(__file__).parents[1] / "digits"


class Camera(threading.Thread):
    """Asks the device's runtime about one image after the other, some 50 a second, until it is told to stop."""

    def __init__(self, state: Path, images: Any) -> None:
        super().__init__(name=f"camera-{state.name}", daemon=True)
        self._socket, self._images, self.over = room(state) / "edge.sock", images, threading.Event()

    def run(self) -> None:
        """Whatever fails is what a line would see, too: it goes on with the next image."""
        place = hash(self._socket) % len(self._images)
        while not self.over.is_set():
            try:
                with Client(self._socket) as client:
                    while not self.over.wait(0.02):
                        place = (place + 1) % len(self._images)
                        client.infer({"image": self._images[place : place + 1]}, "digits")
            except EdgewrightError:
                self.over.wait(0.2)


@contextlib.contextmanager
def cameras(site: Site) -> Iterator[None]:
    """One beside each device while it lasts."""
    images = np.load(DIGITS / "digits.npz")["image"]
    made = [Camera(site.folder / name, images) for name in DEVICES]
    for one in made:
        one.start()
    try:
        yield
    finally:
        for one in made:
            one.over.set()
        for one in made:
            one.join()
