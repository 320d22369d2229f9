"""Rollouts: releases on their way to devices, as rows, and the reconciler that moves them.

- ``tables``: rollouts, members (who is in which wave), decisions.
- ``rules``: from the API's words to those of ``flows.release``, from a member to its device's Release and back. Pure.
- ``making``: a new rollout; newcomers. ``settling``: one rollout brought to where the rules want it. ``gates``: looks.
- ``reconcile.Reconciler(state)``: a thread that settles every tenant's rollouts while its block lasts.
- ``around``: what is taken from the library and from telemetry.
- ``routes``: /api/edge/rollouts and /api/edge/decisions.

A device is held by one rollout at a time (``Member.holds``, a unique index); for others it is busy. A completed rollout
goes on giving its release to stragglers and newcomers until a newer one of its group is completed (``superseded_by``).
"""
