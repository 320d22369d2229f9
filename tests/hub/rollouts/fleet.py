"""Devices that follow the hub's word as agents do, in memory; and stand-ins for the library and telemetry."""

from dataclasses import replace
from types import SimpleNamespace

from sqlalchemy import delete, select, update

from edgewright.agent.net.follow import follow, status
from edgewright.agent.states import Situation, Update, advanced, failed, offered
from edgewright.core.messages import Observation
from edgewright.hub.errors import Absent
from edgewright.hub.fleet.desired import desired_of
from edgewright.hub.fleet.tables import Device as Row
from edgewright.hub.fleet.tables import Watch
from edgewright.hub.rollouts import tables
from edgewright.hub.rollouts.around import Around
from edgewright.hub.rollouts.making import Wish, make
from edgewright.hub.rollouts.reconcile import Reconciler
from edgewright.hub.rollouts.settling import Settler

OLD, NEW, NEWER, SMALL = "a" * 64, "b" * 64, "c" * 64, "d" * 64
POLICY = {
    "waves": "2d,100", "soak_s": 600.0, "lease_s": 900.0, "max_failure": 0.02, "window": "", "approvals": 0,
    "prestage": False, "on_halt": "revert exposed",
}  # fmt: skip
PLAN = {"shadow_s": 0.0, "trial_s": 60.0, "guardrails": {"errors": 0.1}}


class Standin(Around):
    """A library with four bundles, and telemetry that is made up when it is looked at."""

    def __init__(self):
        self.bundles = {
            OLD: ("faults", "1.0", []), NEW: ("faults", "1.1", []), NEWER: ("faults", "1.2", []),
            SMALL: ("faults", "1.1", ["pi4"]), "e" * 64: ("doors", "2.0", []),
        }  # fmt: skip
        self.keys = set(self.bundles)
        self.proposed = []
        self.tell = lambda device, bundle: None

    def find(self, session, digest):
        if digest not in self.bundles:
            raise Absent(f"there is no bundle {digest[:12]!r}")
        name, version, hardware = self.bundles[digest]
        return SimpleNamespace(digest=digest, name=name, version=version, hardware=hardware, evidence={})

    def propose(self, session, state, digests, rollout, now):
        self.proposed.append((sorted(digests), rollout))

    def hold(self, session, rollout, digests):
        pass

    def let_go(self, session, rollout):
        pass

    def signed(self, session, digest):
        return digest in self.keys

    def watch(self, session, name, devices, since, every_s, instead):
        self.unwatch(session, instead)
        for device in devices:
            session.add(Watch(id=name, device=device, since=since))
        session.flush()

    def unwatch(self, session, name):
        session.execute(delete(Watch).where(Watch.id == name))

    def watched(self, session, name):
        for device in session.scalars(select(Watch.device).where(Watch.id == name)).all():
            told = self.tell(device, name)
            if told is not None:
                yield SimpleNamespace(device=device, before=told[0], after=told[1], filled=True)


def observation(bundle, requests=200, errors=0):
    """What a device saw."""
    return Observation("faults", bundle, 0.0, 600.0, {"requests": requests, "errors": errors})


class Agent:
    """A device by the agent's own rules (``agent.states``, ``agent.net.follow``), without files, network or time."""

    def __init__(self, name, good=""):
        self.name, self.now, self.release, self.ran = name, Situation(good=good), None, []

    @property
    def good(self):
        return self.now.good

    @property
    def current(self):
        return self.now.serving

    def hear(self, release):
        """The hub's word, again and again."""
        self.release = release
        action, now = follow(self.now, release), self.now
        if action.kind == "offer":
            self.now = offered(now, action.update)
        elif action.kind == "amend":
            self.now = replace(now, update=action.update)
        elif action.kind == "end":
            self.now = failed(now, action.reason, bad=False)
        elif action.kind in ("revert", "empty"):
            good, bad = (now.before, {**now.bad, now.good: action.reason}) if action.kind == "revert" else ("", now.bad)
            self.now = replace(
                now, state="rolling_back", update=Update(now.good), good=good, before="", bad=bad, failure=""
            )
        while self.now.state in ("abandoned", "rolling_back", "rolled_back"):
            self.now = advanced(self.now)

    def step(self, outcome="ok"):
        """To where it has to wait again; ``outcome``: ok, network (fetching fails), bundle (the trial fails)."""
        if self.now.state == "waiting":
            if not self.release.activate:
                return
            self.ran.append(self.now.update.bundle)
        while self.now.state != "idle":
            bad = outcome == "bundle" and self.now.state == "trial"
            if bad or (outcome == "network" and self.now.state == "fetching"):
                self.now = failed(self.now, f"it is of the {outcome}", bad, "" if bad else "network")
            self.now = advanced(self.now)
            if self.now.state in ("waiting", "trial") and not bad:
                return

    def status(self):
        """What it tells."""
        return status(self.now, self.release, self.current)


class Fleet:
    """A tenant's devices, its rollouts, and one hub's reconciler that does a round when it is told to."""

    def __init__(self, state, tenant, clock):
        self.state, self.tenant, self.clock = state, tenant, clock
        self.around = Standin()
        state.part("rollouts.around", lambda: self.around)
        self.agents = {}
        self.reconciler = Reconciler(state)

    def add(self, count=10, *, group="", target="pi5", good=OLD, prefix="dev"):
        """Devices that run ``good``."""
        with self.write() as session:
            for i in range(count):
                agent = Agent(f"{prefix}-{i:05d}", good)
                self.agents[agent.name] = agent
                session.add(
                    Row(
                        name=agent.name, group=group, target=target, labels={}, facts={}, revision=0, rollout="",
                        release=None, config={}, collect={}, status=agent.status().to_json(), current=good,
                        made=self.clock(), seen=self.clock(), changed=self.clock(), revoked=None,
                    )
                )  # fmt: skip

    def read(self):
        return self.state.database.read(self.tenant)

    def write(self):
        return self.state.database.write(self.tenant)

    def make(self, bundles=(NEW,), group="", name="faults-1.1", needs=(), conflicts=(), by="usr_author", **policy):
        """A submitted rollout; its id."""
        with self.write() as session:
            wish = Wish(name, list(bundles), group, POLICY | policy, PLAN, needs, conflicts)
            row = make(session, self.state, self.around, wish, by, self.clock())
            Settler(session, self.around, self.clock(), 0.0).settle(row, start=False)
            return row.id

    def rollout(self, name):
        with self.read() as session:
            return session.find(tables.Rollout, name)

    def members(self, rollout, *states):
        """Members by device; of these states, if some are named."""
        with self.read() as session:
            found = session.scalars(select(tables.Member).where(tables.Member.rollout == rollout)).all()
        return {m.device: m for m in found if not states or m.state in states}

    def states(self, rollout):
        """How many members are in each state."""
        found = [m.state for m in self.members(rollout).values()]
        return {state: found.count(state) for state in sorted(set(found))}

    def desired(self, name):
        """The release that a device is told."""
        with self.read() as session:
            return desired_of(session.find(Row, name)).release

    def poll(self, *names, steps=1, outcome="ok"):
        """These devices (all) hear of what they should be, take steps, and tell where they are."""
        now = self.clock()
        with self.write() as session:
            rows = {row.name: row for row in session.scalars(select(Row))}
            for name in names or self.agents:
                agent, row = self.agents[name], rows[name]
                for _ in range(steps):
                    agent.hear(desired_of(row).release)
                    agent.step(outcome)
                told = agent.status().to_json()
                row.seen = now
                if told != row.status:
                    row.status, row.current, row.changed = told, agent.current, now

    def seen(self, *names):
        """These devices (all) asked just now."""
        with self.write() as session:
            session.execute(update(Row).where(Row.name.in_(names or list(self.agents))).values(seen=self.clock()))

    def round(self, times=1, **later):
        """Rounds of the reconciler; time goes by before each."""
        return [self._round(later) for _ in range(times)][-1]

    def _round(self, later):
        if later:
            self.clock.go_on(**later)
            self.seen()
        return self.reconciler.round()

    def go(self, times=6, seconds=5, **how):
        """Everybody goes on for a while."""
        for _ in range(times):
            self.clock.go_on(seconds=seconds)
            self.poll(**how)
            self.reconciler.round()

    def order(self, rollout, kind, mode="hold"):
        """What the route does."""
        with self.write() as session:
            row = session.lock(tables.Rollout, rollout)
            row.order = {"kind": kind, "by": "ann", "mode": mode}
            Settler(session, self.around, self.clock(), 0.0).settle(row)

    def watches(self):
        """Devices that are watched and since when, by the watch's name."""
        made = {}
        with self.read() as session:
            for row in session.scalars(select(Watch).order_by(Watch.device)):
                made.setdefault(row.id, ([], row.since))[0].append(row.device)
        return made

    def decisions(self, rollout):
        with self.read() as session:
            query = select(tables.Decision).where(tables.Decision.rollout == rollout).order_by(tables.Decision.id)
            return [one.kind for one in session.scalars(query)]
