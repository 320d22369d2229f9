"""Outgoing: messages of what a tenant wants to be told elsewhere, entered in the transaction of what they tell.

- ``tables``: webhooks, deliveries, and who delivers.
- ``entering``: ``enter`` an event for the webhooks that want its kind; ``Line``: behind what waits already.

What carries them out is above: ``alerts``. This is below ``events``, so that no event is told without its messages.
"""

from __future__ import annotations

from edgewright.hub.outgoing.entering import KINDS, Kind, Line, enter, message

__all__ = ["KINDS", "Kind", "Line", "enter", "message"]
