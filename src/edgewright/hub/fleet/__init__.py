"""Devices: who they are, what they should be, what they told.

- ``tables``: devices, their certificates, tokens of enrolment, what they watched.
- ``desired``: ``assign(session, {device: Release or None}, now)`` gives devices a new desired state; a parked poll is
  answered with it.
- ``telemetry``: ``take`` a report, ``watch`` devices from a moment on, ``past`` of a device.
"""
