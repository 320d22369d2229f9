"""Recent: what was read a moment ago, for thousands of devices that ask for the same at about the same time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
KEPT_S = 1.0
_MOST = 64


class _Read(NamedTuple):
    task: asyncio.Task[Any]
    mark: int
    at: float


class Recent:
    """Reads in threads, each thing once in a second; on the loop's thread. What was read for a ``mark`` (the tenant's
    newest revision then) answers no device whose own revision is above it: what was published before a device was told
    of it is what that device gets."""

    def __init__(self) -> None:
        self._reads: OrderedDict[Hashable, _Read] = OrderedDict()

    async def get(self, key: Hashable, needed: int, mark: int, read: Callable[..., T], *arguments: Any) -> T:
        """What ``read(*arguments)`` gives, or gave. Raises what it raises."""
        found = self._reads.get(key)
        if found is None or found.mark < needed or found.at + KEPT_S < time.monotonic():
            task = asyncio.get_running_loop().create_task(asyncio.to_thread(read, *arguments))
            task.add_done_callback(_heard)
            found = self._reads[key] = _Read(task, mark, time.monotonic())
            self._reads.move_to_end(key)
            while len(self._reads) > _MOST:
                self._reads.popitem(last=False)
        made: T = await asyncio.shield(found.task)
        return made


def _heard(task: asyncio.Task[Any]) -> None:
    """An error is told to those who wait; if nobody does any more, that is no news."""
    if not task.cancelled():
        task.exception()
