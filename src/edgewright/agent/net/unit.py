"""Unit: the agent as a service of systemd."""

from __future__ import annotations

from edgewright.core.notify import HARDENED, place, quoted


def unit(state: str, command: str, user: str = "edgewright") -> str:
    """A systemd unit. KillMode=process: the runtime serves on while the agent is restarted or replaced. Times of the
    watchdog: ``Service`` speaks up every 5 s while its threads live."""
    return f"""# Once: useradd --system --no-create-home {user}
[Unit]
Description=Edgewright agent: keeps this device on a verified, serving bundle
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command} run --state {quoted(state)}
User={user}
KillMode=process
KillSignal=SIGTERM
TimeoutStartSec=infinity
Restart=always
RestartSec=5
WatchdogSec=120
{place(state)}
{HARDENED}

[Install]
WantedBy=multi-user.target
"""
