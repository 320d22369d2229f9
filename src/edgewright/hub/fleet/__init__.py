"""Devices: who they are, what they should be, what they told.

- ``tables``: devices, their certificates, tokens of enrolment, what they watched.
- ``desired``: ``assign(session, {device: Release or None}, now)`` gives devices a new desired state; a parked poll is
  answered with it.
- ``enrolling``: devices let in; ``ca``, ``place``: the hub's CA, and where devices connect to.
- ``statuses``, ``presence``: what devices say in each poll, and when. ``roster``: what each request is held against, in
  memory; ``news`` rings when the database has something newer.
- ``telemetry``: ``take`` a report into the rollups (``packing``) of device, group and fleet; ``folding`` ages them.
  ``watches``: what devices tell of their bundles while a gate looks on. ``uploads``: logs and diagnostics.
- ``routes_devices``, ``routes_enrolments``, ``routes_groups``, ``routes_telemetry``; ``told`` and ``words`` are their
  bodies and queries, ``plain`` makes harmless what devices say.
"""
