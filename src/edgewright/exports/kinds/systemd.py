"""A unit of systemd that serves the bundle."""

from __future__ import annotations

from edgewright.bundles import archive
from edgewright.core.notify import HARDENED, quoted
from edgewright.exports.contract import Limit, rendered
from edgewright.exports.quoting import Code
from edgewright.exports.subject import Subject

_PROGRAM = "/opt/edgewright/bin/edgewright"


class Systemd:
    """Hardened as the agent's and the hub's are."""

    title = "a unit of systemd that serves the bundle"
    needs = "Linux with systemd 247 or newer, Edgewright in /opt/edgewright."
    tested = (
        "our tests let `systemd-analyze verify` read the unit where it is there, and run its commands on the files "
        "that lie beside it."
    )
    untested = "no systemd ran it."
    limit: Limit | None = None

    def files(self, subject: Subject) -> dict[str, bytes]:
        """Raises InputError for no bundle."""
        name = f"edgewright-{subject.label}"
        home, main = f"/opt/edgewright/models/{subject.label}", f"{subject.name}.ewb"
        socket = f"/run/{name}/model.sock"
        values = {
            "unit": Code(unit(subject, home, main, name)), "unit_name": f"{name}.service", "home": home, "main": main,
            "socket": socket, "socket_plain": Code(socket), "extras": Code(subject.extras),
        }  # fmt: skip
        made = rendered(subject, self, "systemd", values, {"unit": name})
        return {**made, main: archive.pack_files(subject.bundle.files)}


def unit(subject: Subject, home: str, main: str, name: str) -> str:
    """The unit. It begins with the bundle's own test: what does not verify, or answers otherwise, is not served."""
    bundle, key = quoted(f"{home}/{main}"), quoted(f"{home}/signer.pub")
    return f"""# Bundle {subject.bundle.digest}
# signed by {subject.bundle.signer.id}
# Once: useradd --system --no-create-home edgewright
[Unit]
Description=Edgewright: the model {subject.name} {subject.version}
After=network.target

[Service]
Type=exec
ExecStartPre={_PROGRAM} bundle verify {bundle} --key {key} --self-test
ExecStart={_PROGRAM} serve {bundle} --key {key} --config {quoted(f"{home}/runtime.toml")}
ExecReload=/bin/kill -HUP $MAINPID
User=edgewright
RuntimeDirectory={name}
RuntimeDirectoryMode=0750
KillSignal=SIGTERM
TimeoutStopSec=20
Restart=always
RestartSec=2
LimitNOFILE=65536
{HARDENED}

[Install]
WantedBy=multi-user.target
"""
