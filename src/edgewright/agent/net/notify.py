"""Notify: what systemd is told, and how it looks after us (sd_notify(3), sd_watchdog_enabled(3))."""

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


def unit(state: str, command: str, user: str = "edgewright") -> str:
    """A systemd unit. KillMode=process: the runtime serves on while the agent is restarted or replaced. Times of the
    watchdog: ``Service`` speaks up every 5 s while its threads live."""
    quoted = state.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f"""[Unit]
Description=Edgewright agent: keeps this device on a verified, serving bundle
After=network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command} run --state "{quoted}"
KillMode=process
KillSignal=SIGTERM
Restart=always
RestartSec=5
WatchdogSec=120
User={user}
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
ReadWritePaths="{quoted}"
PrivateTmp=yes
PrivateDevices=no
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""
