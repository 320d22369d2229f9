"""A hub on each database: SQLite in a file, and a PostgreSQL server that the tests start."""

import atexit
import contextlib
import os
import shutil
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.app import make_app
from edgewright.hub.database import EVERY, Database
from edgewright.hub.database.migrating import migrate
from edgewright.hub.database.rows import TENANT, Base
from edgewright.hub.fleet.desired import assign
from edgewright.hub.fleet.tables import Device
from edgewright.hub.listener import Listener
from edgewright.hub.secrets import Passwords
from edgewright.hub.serving import Address, bind
from edgewright.hub.state import open_state
from edgewright.hub.web.rates import Rates
from edgewright.testing.beside import beside

HERE = Path(__file__).parent
PASSWORD = "four unrelated words here"


def with_tables(url):
    database = Database(url)
    migrate(database.engine)
    database.close()
    return url


@pytest.fixture(scope="session")
def postgres():
    with beside(HERE / "postgres.py").server() as server:
        with_tables(server.make())
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.db"
    return request.getfixturevalue("postgres").make()


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """A SQLite file with its tables and nothing in them, to be copied: making them anew for each test takes minutes."""
    path = tmp_path_factory.mktemp("tables") / "hub.db"
    with_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database whose tables are there."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("tables"), tmp_path / "hub.db")
        yield f"sqlite:///{tmp_path}/hub.db"
        return
    server = request.getfixturevalue("postgres")
    lent = server.lend()
    yield lent
    server.give_back(lent)


class Clock:
    """A clock that goes on when it is told to. It begins yesterday morning: what TLS holds certificates against is the
    clock of the machine."""

    begins = (datetime.now(UTC) - timedelta(days=1)).replace(hour=9, minute=30, second=0, microsecond=0)

    def __init__(self):
        self.now = self.begins

    def __call__(self):
        return self.now

    def go_on(self, **by):
        self.now += timedelta(**by)


@pytest.fixture
def clock():
    return Clock()


FAST = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def _fast(self):
    """For ``Passwords.__init__``: a hash takes a fifth of a second as the hub makes it."""
    vars(self).update(vars(FAST))


def quick(state, clock):
    """It, with passwords that are cheap to check and no limit on how often one may ask."""
    rates = {"rates": Rates(1e6, 1e6), "tries": Rates(1e6, 1e6)}
    return replace(state, private_webhooks=True, clock=clock, passwords=FAST, **rates)


@pytest.fixture
def state(request, url, tmp_path, clock, monkeypatch):
    monkeypatch.setattr(Passwords, "__init__", _fast)
    if "hub" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("inhabited").keys, tmp_path / "data" / "keys")
    with open_state(tmp_path / "data", url) as made:
        yield quick(made, clock)


@cache
def portal():
    """One event loop for all: a thread and a loop for each request take a third of a short one's time."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(start_blocking_portal())


class Someone:
    """Who calls: ``get``, ``post`` and so on with their token, each with an idempotency key of one's choice."""

    def __init__(self, app, token=None):
        self.client = TestClient(app, base_url="http://hub", raise_server_exceptions=True)
        self.client.portal = portal()
        self.token = token
        if token:
            self.client.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method, path, status=None, **options):
        answer = self.client.request(method, path, **options)
        if status is not None:
            assert answer.status_code == status, answer.text
        return answer

    def get(self, path, status=200, **options):
        return self.ask("GET", path, status, **options).json()

    def post(self, path, json, status=201, **options):
        return self.ask("POST", path, status, json=json, **options).json()


class Hub:
    """A hub with the tenants ``north`` and ``south``; ``owner`` of each. ``like``: another one, whose tenants these
    are."""

    def __init__(self, state, like=None):
        self.state = state
        self.app = make_app(state)
        self.nobody = Someone(self.app)
        self.tenants, self.first = ({}, {}) if like is None else (dict(like.tenants), dict(like.first))
        for name in ("north", "south"):
            if like is None:
                self.tenants[name], self.first[name] = make_tenant(state, name, "owner")
                setattr(self, name, self.log_in(name, "owner", self.first[name]))
            else:
                known = getattr(like, name)
                setattr(self, name, Someone(self.app, known.token))
                getattr(self, name).id = known.id

    def log_in(self, tenant, name, one_time):
        body = {"tenant": tenant, "name": name, "password": one_time}
        made = Someone(self.app).post("/api/edge/login", body)
        who = Someone(self.app, made["session"])
        who.id = made["user"]
        who.ask("PUT", "/api/edge/account/password", 204, json={"now": one_time, "new": PASSWORD})
        return who

    def log_in_again(self, tenant):
        body = {"tenant": tenant, "name": "owner", "password": PASSWORD}
        made = Someone(self.app).post("/api/edge/login", body)
        who = Someone(self.app, made["session"])
        who.id = made["user"]
        return who

    def user(self, name, *roles, of="north"):
        owner = getattr(self, of)
        made = owner.post("/api/edge/users", {"name": name, "roles": list(roles)})
        return self.log_in(of, name, made["password"])


def inhabit(tables, folder, clock):
    """A hub whose owners have logged in, its ``keys`` and its ``rows``, to be copied: a login for each test of each
    tenant takes minutes."""
    shutil.copy(tables, folder / "hub.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Passwords, "__init__", _fast)
        with open_state(folder / "data", f"sqlite:///{folder}/hub.db") as state:
            made = Hub(quick(state, clock))
            with state.database.engine.connect() as connection:
                made.rows = {
                    table: [dict(row) for row in connection.execute(table.select()).mappings()]
                    for table in Base.metadata.sorted_tables
                }
    made.keys = folder / "data" / "keys"
    return made


@pytest.fixture(scope="session")
def inhabited(tables, tmp_path_factory):
    return inhabit(tables, tmp_path_factory.mktemp("inhabited"), Clock())


@pytest.fixture
def hub(state, inhabited):
    with state.database.engine.execution_options(**{TENANT: EVERY}).begin() as connection:
        for table, rows in inhabited.rows.items():
            if rows:
                connection.execute(table.insert(), rows)
    return Hub(state, inhabited)


class Fleet:
    """A hub with its device listener, and devices of the tenant ``north`` that talk to it."""

    def __init__(self, hub, folder):
        self.hub, self.state, self.north, self.folder = hub, hub.state, hub.north, folder
        self.tenant = hub.tenants["north"]
        self.devices = []

    def token(self, by=None, **about):
        return (by or self.north).post("/api/edge/enrolments", about)["token"]

    def device(self, name, by=None, **about):
        """An enrolled one."""
        made = self.stranger(name)
        status, told = made.enrol(self.token(by, device=name, **about))
        assert status == 200, told
        return made

    def stranger(self, name):
        self.devices.append(DEVICES.Device(self.folder / f"{name}-{len(self.devices)}", self.url))
        return self.devices[-1]

    def assign(self, release, *names):
        with self.state.database.write(self.tenant) as session:
            assign(session, dict.fromkeys(names, release))

    def row(self, name, kind=Device):
        with self.state.database.read(self.tenant) as session:
            return session.get(kind, (self.tenant, name))

    def audit(self, action):
        return [one for one in self.north.get("/api/edge/audit?limit=200")["items"] if one["action"] == action]


DEVICES = beside(HERE / "devices.py")


@pytest.fixture
def fleet(hub, tmp_path):
    made = Fleet(hub, tmp_path / "devices")
    listening = bind(Address("127.0.0.1", 0))
    made.url = f"https://127.0.0.1:{listening.getsockname()[1]}"
    with Listener(hub.state, listening, ["localhost", "127.0.0.1"]) as made.listener:
        yield made
        for one in made.devices:
            one.close()


@pytest.fixture(scope="session")
def s3():
    """The URL of an S3 server on this machine."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def bucket(s3, monkeypatch):
    """``State.objects`` for a bucket of its own there, with what it takes from the environment."""
    name = f"hub-{os.urandom(4).hex()}"
    with urllib.request.urlopen(urllib.request.Request(f"{s3}/{name}", method="PUT")) as answer:
        assert answer.status == 200
    for variable, value in {
        "AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(variable, value)
    return f"s3://{name}/some/prefix"


PROCESSES = beside(HERE / "processes.py")


@pytest.fixture
def start(tmp_path):
    made = []

    def _start(*words):
        made.append(PROCESSES.Process(tmp_path / "hub", *words))
        return made[-1]

    yield _start
    for one in made:
        if one.process.poll() is None:
            one.end(PROCESSES.signal.SIGKILL)


MODELLING = beside(HERE / "modelling.py")


@pytest.fixture
def uploads(hub):
    return MODELLING.Uploads(hub)


@pytest.fixture
def make():
    """``make.onnx(...)`` and ``make.npz(...)``."""
    return MODELLING
