"""Testing: messages that were asked for are tried in the background, a few at a time: who asks does not wait for
another machine, nor do all others."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError
from edgewright.hub.alerts.delivering import try_one
from edgewright.hub.state import State

_AT_ONCE = 8
_LOG = logging.getLogger("edgewright.hub")


class _Tests(Closing):
    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(_AT_ONCE, "edgewright-tests")
        self.open: set[Future[None]] = set()

    def close(self) -> None:
        """What is not begun is left to the sender of the next start."""
        self.pool.shutdown(cancel_futures=True)


def soon(state: State, tenant: str, id_: str) -> None:
    """Try this delivery once, in the background."""
    tests = state.part("alerts.tests", _Tests)
    made = tests.pool.submit(_try, state, tenant, id_)
    tests.open.add(made)
    made.add_done_callback(tests.open.discard)


def settle(state: State) -> None:
    """Wait until all that ``soon`` was told is tried."""
    wait(list(state.part("alerts.tests", _Tests).open))


def _try(state: State, tenant: str, id_: str) -> None:
    try:
        try_one(state, tenant, id_)
    except (EdgewrightError, SQLAlchemyError, OSError) as error:
        _LOG.warning("a test message was not tried, and is in two minutes: %s", error)
