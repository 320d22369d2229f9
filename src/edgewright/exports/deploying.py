"""Deploying: what templates of servers share."""

from __future__ import annotations

from edgewright.exports.subject import Subject

_SERVER_MIB, _TIMES, _STEP = 512, 4, 64


def memory_mib(subject: Subject) -> int:
    """A start for a container's memory in MiB: 512 for server and engine, and four times the bundle."""
    whole = _SERVER_MIB + _TIMES * subject.bundle.size_bytes / 2**20
    return int(-(-whole // _STEP) * _STEP)


def cores(subject: Subject) -> str:
    """Cores that a container asks for: the threads that the bundle was measured with."""
    return str(subject.bundle.content.variants[0].options.threads)


def served(subject: Subject) -> str:
    """Where the bundle lies in the image that the docker export makes."""
    return f"/srv/models/{subject.name}"
