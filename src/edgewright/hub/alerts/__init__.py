"""Alerts: what is wrong in a tenant's fleet and needs somebody, told once, to those who want to hear.

- ``health``: a device's health from what is known of it; pure. ``serving``: an hour against the device's own past.
- ``rules``: kinds of alerts, and a tenant's rules for them. ``causes``: what is wrong now, many devices of a group
  drawn together; ``course``: how open alerts go on; both pure.
- ``look``, ``around``: reads what the rules judge, the second one the rows of other slices.
- ``rounds``: ``rounds(state, now)`` every minute: looks, judges, stores. One worker at a time.
- ``outbox``: messages of alerts, in the transaction of what they tell, and how deliveries went; ``sending``: a thread
  that has what is due delivered (``delivering``), within a second; ``webhooks`` and ``mail`` carry it out.
- ``routes``, ``routes_health``, ``routes_webhooks``.

An alert is known by its ``kind`` and ``subject`` (``device/NAME``, ``group/NAME``, ``fleet``, ``rollout/ID``,
``updates/ROLE``, ``webhook/ID``, ``mail``, ``hub``). Deliveries come at least once: their id is the same in each try.
"""
