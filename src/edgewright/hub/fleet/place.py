"""Place: where devices connect to, as this process knows it."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.hub.state import State


@dataclass
class Place:
    """``url``: https://HOST:PORT, "" while there is no listener."""

    url: str = ""


def place(state: State) -> Place:
    """That of this process."""
    return state.part("place", Place)
