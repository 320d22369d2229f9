"""What hub and agent say to each other: frozen values, one JSON object each, every part of it bounded.

    data = render(message)              bytes to send; ValueError when the message breaks its own bounds
    message = read(Report, data)        of bytes from the other side; InputError for anything else

    Enrol -> Enrolled, Renew -> Enrolled      a CSR and a one-time token (or the certificate in use) for a certificate
    Sync -> Desired                           where a device is; the whole of what it should be
    Report -> Receipt                         observations and events, kept by the device until they are taken
    Reports -> Receipt                        several of them
    BenchmarkResult                           what a device measured when ``Collect.benchmark`` asked for it

The two sides may be of different versions: a field that is not known is passed over, one that is not there has its
default, words that name a state, a kind or a counter are open, and ``Desired.config`` is handed on as it is. A field
that is known must be of its type and within its bounds. A new field therefore needs a default; a change of meaning
needs a new name.
"""

from __future__ import annotations

from edgewright.core.messages.benchmarks import Benched, Benchmark, BenchmarkResult
from edgewright.core.messages.desired import Collect, Desired, Release, Status, Sync
from edgewright.core.messages.identity import Enrol, Enrolled, Facts, Renew
from edgewright.core.messages.observations import Observation, Series
from edgewright.core.messages.reports import Event, Receipt, Report, Reports
from edgewright.core.messages.wire import LIMITS, read, render

__all__ = [
    "LIMITS",
    "Benched",
    "Benchmark",
    "BenchmarkResult",
    "Collect",
    "Desired",
    "Enrol",
    "Enrolled",
    "Event",
    "Facts",
    "Observation",
    "Receipt",
    "Release",
    "Renew",
    "Report",
    "Reports",
    "Series",
    "Status",
    "Sync",
    "read",
    "render",
]
