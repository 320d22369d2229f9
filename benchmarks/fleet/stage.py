"""A stage for the scale benchmarks: a real hub on one core, a simulated fleet and whoever asks on the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.session import EngineOptions
from edgewright.testing.build import Build
from edgewright.testing.fleet import Fleet, Setting, lean
from edgewright.testing.site import Site
from edgewright.trust import SigningKey

HUB_CORE, OUR_CORE = 0, 1
_CORES = sorted(os.sched_getaffinity(0))
GROUP = "line"


@contextlib.contextmanager
def on(core: int) -> Iterator[None]:
    """What is started in here runs on that core; where there is one only, on that."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_CORES[min(core, len(_CORES) - 1)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Usage:
    """Of the hub's processes: CPU time so far, resident memory, in s and bytes."""

    cpu_s: float
    bytes: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """The process and those below it."""
        cpu_s, size, waiting = 0.0, 0, [pid]
        while waiting:
            one = waiting.pop()
            with contextlib.suppress(OSError):
                told = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
                cpu_s += (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
                size += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                waiting += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        return cls(cpu_s, size)


class Stage:
    """A hub in ``folder`` and the papers of ``devices`` enrolled there; ``enrolled_s``: how long that took."""

    def __init__(self, folder: Path, *options: str, setting: Setting | None = None) -> None:
        lean()
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        with on(HUB_CORE):
            self.site = Site(folder, options=options)
        self.key = SigningKey.generate()
        self.fleet = Fleet(f"https://{self.site.devices}", folder / "fleet", setting)
        self.enrolled_s = 0.0

    async def enrol(self, devices: int) -> None:
        """Through the device listener, each with a token of its own."""
        made = await asyncio.to_thread(self.tokens, devices)
        began = asyncio.get_running_loop().time()
        await self.fleet.enrol(devices, made)
        self.enrolled_s = asyncio.get_running_loop().time() - began

    def usage(self) -> Usage:
        """The hub's."""
        return Usage.of(self.site.hub.process.pid)

    def restart(self) -> None:
        """SIGTERM, wait, and begin again, on the hub's core."""
        with on(HUB_CORE):
            self.site.restart_hub()

    async def ask(self, path: str, **query: Any) -> Any:
        """The people's API."""
        return await asyncio.to_thread(self._ask, path, query)

    def _ask(self, path: str, query: dict[str, Any]) -> Any:
        with self.site.api() as hub:
            return hub.get(path, **query)

    def tokens(self, count: int, group: str = GROUP) -> list[str]:
        """So many enrolment tokens, by the hub's own code: people's API makes them one by one."""
        import edgewright.hub.tables  # noqa: F401 - all of them, for what refers to what
        from edgewright.hub.fleet.ca import authority
        from edgewright.hub.fleet.tables import Enrolment
        from edgewright.hub.library.bundles import lock
        from edgewright.hub.library.repository import begun
        from edgewright.hub.state import open_state
        from edgewright.trust.authority import issue_token

        with self.site.api() as hub:
            tenant = str(hub.get("/account")["tenant"]["id"])
        with open_state(self.site.folder / "hub") as state:
            now, anchor = state.clock(), authority(state).anchor_digest
            made = [issue_token(tenant, anchor, now, timedelta(days=1)) for _ in range(count)]
            with state.database.write(tenant) as session:
                lock(session)
                begun(state, session, now)  # a development tenant's root, which devices are given
                session.add_all(
                    Enrolment(
                        id=record.id, kind="token", digest=record.digest, device="", group=group, labels={}, made=now,
                        until=record.expires_at,
                    )
                    for _, record in made
                )  # fmt: skip
        return [token.text() for token, _ in made]

    def release(self, size: int = 0, **more: Any) -> dict[str, Any]:
        """A new bundle, some ``size`` bytes of weights in it, to all devices in one wave; the rollout."""
        path = self.site.folder / f"bundle-{os.urandom(4).hex()}.ewb"
        packed(path, self.key, size)
        with self.site.api() as hub:
            told = hub.upload("/bundles", path, signer=self.key.public.raw.hex())
            return dict(hub.post("/rollouts", {
                "name": "scale", "bundles": [told["digest"]], "group": GROUP, "waves": "100", "soak_s": 1.0,
                "lease_s": 600.0, "trial_s": 0.0, "max_failure": 0.02, **more,
            }))  # fmt: skip

    def close(self) -> None:
        """End the hub."""
        self.site.close()


def packed(path: Path, key: SigningKey, size: int) -> str:
    """A signed bundle of a model with ``size`` bytes of weights that nothing compresses; its digest."""
    build, rng = Build(), np.random.default_rng(int.from_bytes(os.urandom(4), "big"))
    columns = max(size // 16, 4)
    weights = rng.normal(0, 1, (4, columns)).astype(np.float32)
    made = build.node("MatMul", build.input("x", ["n", 4]), build.constant(weights))
    build.output(made, ["n", columns])
    variant = Variant("onnxruntime", EngineOptions(), build.model())
    calls = [{"x": np.full((1, 4), value, np.float32)} for value in (1.0, -2.0)]
    golden = bundles.record_golden([variant], calls, count=2)
    content = BundleContent("m", "1", variant.model.digest, (variant,), golden, Contract("host", (), {}))
    bundle = bundles.seal(content, path.with_suffix(".folder"), key)
    bundle.pack(path)
    return bundle.digest
