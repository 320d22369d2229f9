"""Requests whose bodies came packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgewright.runtime.aside import Steps
from edgewright.runtime.faults import Overloaded
from edgewright.runtime.lanes.http import Answer, Handler, Head, Reply
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.lanes.stream import Body, GiveUp
from edgewright.runtime.oip.encodings import TooLong, inflate, inflating
from edgewright.runtime.oip.messages import LONG
from edgewright.runtime.oip.wires import HTTP, Wire

Errand = Callable[[int, Steps[Any], Callable[[Any], GiveUp | None], Wire, Answer], GiveUp]
"""Does the steps aside, then goes on with what they came to."""


class Packed:
    """A few packed bytes can become many, and a thousand requests may wait: bounded are all together."""

    def __init__(self, errand: Errand, limits: Limits) -> None:
        self._errand, self._limits = errand, limits
        self.held = 0
        """Bytes of bodies that were unpacked and are not answered."""

    def answer(self, encoding: str, head: Head, body: Body, answer: Answer, plain: Handler) -> GiveUp | None:
        """Answer as ``plain`` does once the body is unpacked: at once where it is small. Raises BadRequest."""
        if len(body) <= LONG:
            try:
                small = inflate(body, encoding, LONG)
            except TooLong:
                pass
            else:
                return plain(head, small, answer)

        def then(found: memoryview) -> GiveUp:
            held = [len(found)]
            if self.held + len(found) > self._limits.buffered_bytes:
                raise Overloaded("all packed bodies together hold as much as they may; ask again later")
            self.held += len(found)

            def give_back(reply: Reply | None = None) -> None:
                if held:
                    self.held -= held.pop()
                if reply is not None:
                    answer(reply)

            try:
                given = plain(head, found, give_back)
            except BaseException:
                give_back()
                raise

            def give_up() -> None:
                if given is not None:
                    given()
                give_back()

            return give_up

        return self._errand(len(body), inflating(body, encoding, self._limits.body_bytes), then, HTTP, answer)
