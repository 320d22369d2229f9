"""Numbers only: a session that declines NaN and infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.closing import Closing
from edgewright.core.errors import InputError
from edgewright.core.session import Arrays, Session
from edgewright.runtime.providers import engine_note


class Finite(Closing):
    """``session``, for finite inputs only."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.signature, self.requested, self.provider = session.signature, session.requested, session.provider
        self.note = engine_note(session)

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def infer(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """As the session's. Raises InputError, too, for an input that holds NaN or an infinity."""
        for name, array in inputs.items():
            floats = isinstance(array, np.ndarray | np.generic) and array.dtype.kind == "f"
            if floats and not np.isfinite(array).all():
                raise InputError(f"input {name!r} holds NaN or an infinity, and this model takes finite numbers only")
        return self._session.infer(inputs)

    @property
    def reason(self) -> str:
        """Why the session does not answer, where it is one that may not (isolated), "" when it does."""
        found: str = getattr(self._session, "reason", "")
        return found

    @property
    def pid(self) -> int | None:
        """The process it runs in, where it is not this one."""
        found: int | None = getattr(self._session, "pid", None)
        return found
