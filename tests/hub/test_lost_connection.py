"""A connection to PostgreSQL that breaks while nobody looks."""

import contextlib
import os
import socket
import threading

import psycopg
import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import SQLAlchemyError

from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import EVERY, Database

SILENCE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
"""In s, s, times and ms: see tcp(7)."""


@pytest.fixture
def socket_of():
    """Gives a session's own socket, by another descriptor."""
    with contextlib.ExitStack() as kept:
        yield lambda session: kept.enter_context(
            socket.socket(fileno=os.dup(session.connection().connection.driver_connection.fileno()))
        )


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR])
@pytest.mark.parametrize("when", ["between", "within"])
def test_it_is_the_databases_fault_and_the_next_transaction_has_a_new_one(url, socket_of, how, when):
    with Database(url) as database:
        with database.read(EVERY) as session:
            broken = socket_of(session)
        if when == "between":
            broken.shutdown(how)
        try:
            with database.read(EVERY) as session:
                session.scalars(select(Tenant)).all()
                if when == "within":
                    broken.shutdown(how)
                session.scalars(select(Tenant)).all()
        except SQLAlchemyError:
            pass
        else:
            assert when == "between", "nothing was wrong with it"
        seen = []
        for _ in range(3):
            with database.write(EVERY) as session:
                seen.append(session.connection().execute(text("SELECT pg_backend_pid()")).scalar_one())
        assert len(set(seen)) == 1


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_that_ends_it_under_many_threads_is_no_fault_of_theirs(url):
    """Each transaction works or fails as the database's, whatever the socket says first."""
    failed, odd = [], []
    with Database(url) as database, Database(url) as other:

        def read():
            for _ in range(20):
                try:
                    with database.read(EVERY) as session:
                        session.scalars(select(Tenant)).all()
                except SQLAlchemyError:
                    failed.append(1)
                except Exception as error:  # noqa: BLE001
                    odd.append(error)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        ended = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'edgewright' AND pid <> pg_backend_pid()"
        )
        while any(thread.is_alive() for thread in threads):
            with other.write(EVERY) as session:
                session.connection().execute(ended)
        for thread in threads:
            thread.join()
    assert odd == [], odd


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_that_falls_silent_is_given_up_within_half_a_minute(url, socket_of):
    """Its host is gone, and nothing says so. By itself a connection waits for hours then."""
    told = make_url(url)
    with socket.create_server(("127.0.0.1", 0)) as front, socket.socket(socket.AF_UNIX) as back:
        back.connect(f"{told.query['host']}/.s.PGSQL.5432")

        def between(one, other):
            while data := one.recv(65536):
                other.sendall(data)

        def serve():
            taken, _ = front.accept()
            with taken:
                threading.Thread(target=between, args=(back, taken), daemon=True).start()
                between(taken, back)

        served = threading.Thread(target=serve)
        served.start()
        over_tcp = told.set(host="127.0.0.1", port=front.getsockname()[1], query={})
        with Database(over_tcp.render_as_string(hide_password=False)) as database, database.read(EVERY) as session:
            held = socket_of(session)
            found = {name: held.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in SILENCE}
            assert found == SILENCE and held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        served.join(60)
    assert SILENCE["TCP_KEEPIDLE"] + SILENCE["TCP_KEEPINTVL"] * SILENCE["TCP_KEEPCNT"] <= 30


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_that_is_not_there_is_told_as_such(hub, monkeypatch):
    """By each way, and not as a fault of the hub's."""
    hub.north.get("/api/edge/models")
    hub.state.database.engine.dispose()
    hub.state.database._kept.close()
    monkeypatch.setattr(hub.state.database.engine.dialect, "connect", lambda *_, **__: nowhere())
    for method, path, body in (("GET", "/api/edge/models", None), ("POST", "/api/edge/models", {"name": "x"})):
        answer = hub.north.ask(method, path, 503, **({"json": body} if body else {}))
        assert "does not answer" in answer.json()["detail"] and answer.headers["Retry-After"] == "5"


def nowhere():
    return psycopg.connect(host="/nowhere")
