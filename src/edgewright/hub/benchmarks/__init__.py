"""Benchmarks: versions and bundles measured side by side, on a worker of the hub and on devices at once.

- ``tables``: what was asked for. What comes of it lies where it is done: a job of the kind ``benchmark`` on a worker
  (``jobs``), a row for each device (``fleet.benchmarks``). ``asking``: from what is asked to both; ``finding``: back.
- ``routes``, ``told``: /api/edge/benchmarks.
"""

from __future__ import annotations
