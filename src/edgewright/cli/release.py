"""``edgewright release``: a bundle, or one for each hardware, to the devices of a group, in waves behind gates."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.cli._duration import duration, pause
from edgewright.cli._percent import percent

if TYPE_CHECKING:
    from edgewright.client import Hub
    from edgewright.trust import PublicKey


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    option = parser.add_argument
    option("bundles", nargs="+", type=Path, metavar="BUNDLE", help="folder or file; several: variants by hardware")
    option("--group", default="", metavar="NAME", help="devices of this group (default: all)")
    option("--name", default="", metavar="WORD", help="of the release (default: the bundle's name and version)")
    option("--waves", default="1,10,50,100", metavar="LIST", help="per cent, or 5d for 5 devices (%(default)s)")
    option("--soak", type=pause, default=600.0, metavar="TIME", help="before each gate, as 10m (default)")
    option("--lease", type=duration, default=900.0, metavar="TIME", help="a device that is silent longer failed (15m)")
    option("--trial", type=pause, default=60.0, metavar="TIME", help="a device watches itself so long (1m)")
    option("--shadow", type=pause, default=0.0, metavar="TIME", help="the new beside the old before the switch")
    option("--max-failure", type=percent, default=0.02, metavar="SHARE", help="of devices that may fail (2%%)")
    option("--window", default="", metavar="HH:MM-HH:MM", help="in device time, when devices may switch")
    option("--approvals", type=int, default=0, metavar="N", help="people besides you who must agree")
    option("--prestage", action="store_true", help="everyone fetches ahead; waves only switch")
    option(
        "--on-halt", default="revert exposed", choices=["hold", "revert exposed", "revert all"], help="(%(default)s)"
    )
    option("--needs", action="append", default=[], metavar="RELEASE", help="which a device must have")
    option("--conflicts", action="append", default=[], metavar="RELEASE", help="which it must not have")
    option("--key", type=Path, metavar="FILE.pub", help="of the bundles' signer (default: your own)")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the rollout was made."""
    from edgewright.client import Hub
    from edgewright.core.errors import InputError
    from edgewright.trust import load_public_key, own_public_key

    key = load_public_key(arguments.key) if arguments.key is not None else own_public_key()
    if key is None:
        raise InputError("you have no key of your own yet; name the bundle's signer with --key FILE.pub")
    with Hub.known() as hub:
        told = [_uploaded(hub, path, key) for path in arguments.bundles]
        first = told[0]
        rollout = hub.post("/rollouts", {
            "name": arguments.name or f"{first['name']}-{first['version']}", "bundles": [one["digest"] for one in told],
            "group": arguments.group, "waves": arguments.waves, "soak_s": arguments.soak, "lease_s": arguments.lease,
            "trial_s": arguments.trial, "shadow_s": arguments.shadow, "max_failure": arguments.max_failure,
            "window": arguments.window, "approvals": arguments.approvals, "prestage": arguments.prestage,
            "on_halt": arguments.on_halt, "needs": arguments.needs, "conflicts": arguments.conflicts,
        })  # fmt: skip
    print(f"rollout {rollout['id']}: {rollout['devices']} devices, {rollout['state'].replace('_', ' ')}")
    for note in rollout["notes"]:
        print(f"note: {note}")
    print(_next(rollout, all(one["released"] for one in told)))
    return 0


def _uploaded(hub: Hub, path: Path, key: PublicKey) -> Any:
    """The bundle as the hub tells it. It is verified here before it travels."""
    from edgewright import bundles

    bundle = bundles.verify(path, [key])
    if path.is_file():
        return hub.upload("/bundles", path, signer=key.raw.hex())
    with tempfile.TemporaryDirectory(prefix="edgewright-release-") as folder:
        packed = Path(folder) / "bundle.ewb"
        bundle.pack(packed)
        return hub.upload("/bundles", packed, signer=key.raw.hex())


def _next(rollout: dict[str, Any], released: bool) -> str:
    if rollout["state"] == "approval" and rollout["policy"]["approvals"]:
        return f"it waits for approval: edgewright rollout approve {rollout['id']}"
    if released:
        return (
            f"the release key signed its bundles before, so it begins: edgewright rollout show {rollout['id']} --watch"
        )
    if rollout["development"]:
        return f"the hub signs by itself (development tenant): edgewright rollout show {rollout['id']} --watch"
    return f"the key-holder signs it: edgewright rollout sign {rollout['id']}"
