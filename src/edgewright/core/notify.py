"""Notify: what the service manager is told (sd_notify(3)), and paths as its files have them (systemd.unit(5))."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(told: str) -> None:
    """Send ``told`` ("READY=1", "WATCHDOG=1") to who asked for it by NOTIFY_SOCKET; nothing where nobody did."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
        one.sendto(told.encode(), "\0" + address[1:] if address.startswith("@") else address)


def quoted(text: str) -> str:
    """One word of a unit's line: quoted, its specifiers and variables taken as they are."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def place(folder: str) -> str:
    """The lines that let a service write ``folder``: made and owned by the manager where it lies in /var/lib."""
    parent, _, name = folder.rpartition("/")
    if parent == "/var/lib" and name.replace("-", "").replace("_", "").isalnum():
        return f"StateDirectory={name}\nStateDirectoryMode=0700"
    return f"ReadWritePaths={quoted(folder)}"


HARDENED = """UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native"""
"""What no service of ours needs (systemd.exec(5)). Not RestrictNamespaces: the children that read what strangers wrote
make namespaces of their own. Not PrivateDevices: engines use accelerators."""
