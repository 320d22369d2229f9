"""Faults to order, for the hub of ``testing.hubs``: each is put into its ``faults``."""

from __future__ import annotations

from contextlib import suppress

from edgewright.testing.exchanges import Exchange
from edgewright.testing.hubs import Fault


def refusing(match: str, status: int, times: int = 1, **headers: str) -> Fault:
    """Requests whose path holds ``match`` are refused, so often (-1: always)."""
    left = [times]

    def fault(exchange: Exchange) -> bool:
        if match not in exchange.path or not left[0]:
            return False
        left[0] -= 1
        exchange.refuse(status, "to order", **headers)
        return True

    return fault


def cutting(match: str, after: int, times: int = 1) -> Fault:
    """Bodies of answers are cut off after so many bytes, and the connection with them."""
    left = [times]

    def fault(exchange: Exchange) -> bool:
        if match not in exchange.path or not left[0]:
            return False
        left[0] -= 1
        real, sent = exchange.wfile, [0]

        class Cut:
            def write(self, data: bytes) -> int:
                if data.startswith(b"HTTP/1.1"):
                    return int(real.write(data))
                real.write(data[: max(after - sent[0], 0)])
                sent[0] += len(data)
                if sent[0] > after:
                    with suppress(OSError):
                        real.flush()
                        exchange.connection.close()
                    exchange.close_connection = True
                return len(data)

            def flush(self) -> None:
                with suppress(OSError, ValueError):
                    real.flush()

            closed = False

            def close(self) -> None:
                with suppress(OSError, ValueError):
                    real.close()

        exchange.wfile = Cut()  # type: ignore[assignment]
        exchange.close_connection = True
        return False

    return fault


def ignoring_ranges(exchange: Exchange) -> bool:
    """The whole file, whatever range is asked for."""
    del exchange.headers["Range"]
    return False
