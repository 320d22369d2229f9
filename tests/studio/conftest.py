"""The studio as people meet it: the built pages, a hub over a socket, Chromium."""

import shutil
import socket
import subprocess
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from argon2 import PasswordHasher
from sqlalchemy import update

from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.accounts.signin import set_password
from edgewright.hub.accounts.tables import User
from edgewright.hub.alerts.tables import Alert
from edgewright.hub.app import make_app
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.secrets import Passwords
from edgewright.hub.state import open_state
from edgewright.hub.web.rates import Rates
from edgewright.testing.beside import beside

ROOT = Path(__file__).parents[2]
PASSWORD = "four unrelated words here"
FAST = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def build():
    """The module that builds the pages; they are built."""
    made = beside(ROOT / "studio" / "build_pages.py")
    made.build()
    return made


@pytest.fixture(scope="session")
def hub(build, tmp_path_factory):
    """A hub with the tenants ``plant``, with forty devices and an alert, and ``empty``; ``owner`` of each."""
    listening = socket.create_server(("127.0.0.1", 0))
    with open_state(tmp_path_factory.mktemp("studio")) as opened:
        state = replace(opened, passwords=FAST, rates=Rates(1e6, 1e6), tries=Rates(1e6, 1e6))
        server = uvicorn.Server(uvicorn.Config(make_app(state), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        made = SimpleNamespace(state=state, url=url, tenants={}, once={})
        for name in ("plant", "empty", "fresh"):
            made.tenants[name], made.once[name] = make_tenant(state, name, "owner")
        for name in ("plant", "empty"):
            with state.database.write(made.tenants[name]) as session:
                set_password(session, session.query(User).one(), FAST.hash(PASSWORD), "")
        _fill(state, made.tenants["plant"])
        yield made
        server.should_exit = True
        thread.join(10)


def _fill(state, tenant):
    now = state.clock()
    with state.database.write(tenant) as session:
        for n in range(40):
            told = {"labels": {}, "facts": {}, "config": {}, "collect": {}, "status": {}}
            late = timedelta(hours=2) if n == 7 else timedelta()
            offset = 900.0 if n == 3 else 0.0
            row = Device(name=f"press-{n:02}", group=f"turin/line-{n % 3 + 1}", revision=0, made=now, changed=now,
                         seen=now - late, offset_s=offset, **told)  # fmt: skip
            session.add(row)
        session.add(
            Alert(id=new_id("alr"), kind="device.silent", subject="device/press-07", severity="warning", since=now,
                  told="device press-07 is silent: it asked last two hours ago", open="device.silent device/press-07")
        )  # fmt: skip


@pytest.fixture(scope="module")
def chromium():
    """The system's browser. Of a module, no longer: while its driver lives, this thread has a running event loop, and
    tests of other modules want to run one of their own."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """A browser's page that remembers what went wrong in it."""

    def __init__(self, browser, url, state=None, size=(1440, 900), dark=False):
        width, height = size
        scheme = "dark" if dark else "light"
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, storage_state=state, base_url=url
        )
        self.page, self.wrong = self.context.new_page(), []
        self.page.set_default_timeout(60_000)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message):
        expected = "Failed to load resource" in message.text  # an answer that is no success is shown by the page
        if message.type == "error" and not expected:
            self.wrong.append(message.text)

    def open(self, path):
        self.page.goto(f"/edge-ai{path}")
        self.page.wait_for_selector("h1")
        return self.page

    def log_in(self, tenant, password=PASSWORD):
        self.page.get_by_label("Name", exact=True).fill("owner")
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_label("Tenant").fill(tenant)
        self.page.get_by_role("button", name="Log in", exact=True).click()
        return self.page


@pytest.fixture
def visit(chromium, hub):
    """``visit(tenant="plant", size=..., dark=...)``: a Visit, logged in unless ``tenant`` is None."""
    made = []
    if hasattr(hub, "state"):  # its tests may come long after it began
        with hub.state.database.write(hub.tenants["plant"]) as session:
            session.execute(update(Device).where(Device.name != "press-07").values(seen=hub.state.clock()))

    def begin(tenant="plant", **more):
        state = None if tenant is None else _session(chromium, hub, tenant)
        made.append(Visit(chromium, hub.url, state, **more))
        return made[-1]

    yield begin
    for one in made:
        one.context.close()
        assert one.wrong == []


_SESSIONS = {}


def _session(browser, hub, tenant):
    if tenant not in _SESSIONS:
        visitor = Visit(browser, hub.url)
        visitor.open("")
        visitor.log_in(tenant).wait_for_selector("main#page")
        _SESSIONS[tenant] = visitor.context.storage_state()
        visitor.context.close()
    return _SESSIONS[tenant]


@pytest.fixture(scope="session")
def node(build):
    """``node(tool, *arguments)`` runs a tool of ``studio/node_modules``."""

    def run(tool, *arguments):
        found = subprocess.run(
            [build.prepared(), str(ROOT / "studio" / "node_modules" / tool), *arguments],
            cwd=ROOT / "studio", capture_output=True, text=True, check=False,
        )  # fmt: skip
        return found.returncode, found.stdout + found.stderr

    return run
