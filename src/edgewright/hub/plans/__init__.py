"""Plans: how much of what a tenant may have. The hub's operator sets them; without one there are no limits.

What other slices use::

    plans.check(session, state.clock(), "models")                        # one more of them: Spent (402), TooMany (429)
    plans.check(session, state.clock(), "storage_bytes", upload.length)

``rules`` (what is limited, how a plan is written); ``tables``; ``limits`` (limits and usage); ``routes``. What there is
is counted by the slices that have it (``rules.COUNTED``).
"""

from edgewright.hub.plans.limits import check, set_plan

__all__ = ["check", "set_plan"]
