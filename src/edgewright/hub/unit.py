"""Unit: the hub as a service of systemd."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.core.notify import HARDENED, place, quoted


def unit(data: str, command: Sequence[str], workers: int = 1, user: str = "edgewright-hub") -> str:
    """A systemd unit of ``command``, whose files lie in ``data``. LimitNOFILE: each device that waits is a connection.
    The loop that answers people feeds the watchdog; with several workers the parent does, which looks after them.
    SIGHUP replaces the workers one by one."""
    words = " ".join(quoted(word) if set(word) & set(' "\\%$;') else word for word in command)
    reload = "ExecReload=/bin/kill -HUP $MAINPID\n" if workers > 1 else ""
    return f"""# Once: useradd --system --no-create-home {user}
# A password of a database does not belong here: Environment=EDGEWRIGHT_DATABASE=... in a drop-in of mode 0600.
[Unit]
Description=Edgewright hub: the control plane of a fleet
Wants=network-online.target
After=network-online.target time-sync.target postgresql.service

[Service]
Type=notify
NotifyAccess=all
ExecStart={words}
{reload}User={user}
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=60
Restart=always
RestartSec=2
WatchdogSec=120
LimitNOFILE=65536
{place(data)}
{HARDENED}

[Install]
WantedBy=multi-user.target
"""
