"""The audit log: appended to with the deed, never changed, and found out when it was."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from edgewright.cli import main
from edgewright.core.errors import InputError, TrustError
from edgewright.hub.accounts.audit import Actor, lines, tell
from edgewright.hub.accounts.chain import Mark, examine, line_digest, origin
from edgewright.hub.accounts.heads import export_heads, read_heads
from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.accounts.tables import Entry
from edgewright.trust import SigningKey

TENANT = "ten_a"


def log_of(count):
    made, digest = [], origin(TENANT)
    for number in range(1, count + 1):
        line = {
            "number": number, "at": f"t{number}", "actor": {"id": "usr"}, "action": "did", "subject": f"s{number}",
            "detail": {"n": number / 3}, "request": "",
        }  # fmt: skip
        digest = line_digest(digest, line)
        made.append(line | {"digest": digest})
    return made


def mark(line):
    return Mark(TENANT, line["number"], line["digest"], line["at"])


def resealed(log, start=0):
    """The log with all digests made again, as one who rewrites it would."""
    digest = log[start - 1]["digest"] if start else origin(TENANT)
    for line in log[start:]:
        digest = line["digest"] = line_digest(digest, line)
    return log


def test_a_log_that_was_left_alone_is_whole():
    log = log_of(9)
    assert examine(TENANT, log, [mark(log[3]), mark(log[8])]).state == "whole"
    assert examine(TENANT, log, []).told.endswith("no signed head bears it out")
    assert examine(TENANT, [], []).number == 0


@given(
    st.integers(0, 8),
    st.sampled_from(["at", "actor", "action", "subject", "detail", "request", "digest"]),
    st.booleans(),
)
def test_a_changed_line_shows(place, name, reseal):
    log = log_of(9)
    heads = [mark(log[8])]
    log[place][name] = "changed"
    found = examine(TENANT, resealed(log, place) if reseal and name != "digest" else log, heads)
    assert found.state == "rewritten" and found.number == (9 if reseal and name != "digest" else place + 1)


@given(st.integers(0, 8), st.booleans())
def test_a_missing_line_shows(place, renumber):
    log = log_of(9)
    heads = [mark(log[8])]
    del log[place]
    if renumber:
        for number, line in enumerate(log, 1):
            line["number"] = number
        assert examine(TENANT, resealed(log), heads).state == "truncated"
    elif place == 8:
        assert examine(TENANT, log, heads).state == "truncated"
    else:
        assert examine(TENANT, log, heads).state == "rewritten"


@given(st.integers(0, 7), st.integers(0, 8))
def test_moved_lines_show(one, other):
    log = log_of(9)
    log[one], log[other] = log[other], log[one]
    assert (examine(TENANT, log, []).state == "whole") == (one == other)


def test_a_log_that_was_cut_shows_against_a_head():
    log = log_of(9)
    assert examine(TENANT, log[:6], [mark(log[8])]).state == "truncated"
    assert examine(TENANT, log[:6], [mark(log[5])]).state == "whole"
    assert examine("ten_b", log, []).state == "rewritten"
    assert examine(TENANT, log, [Mark("ten_b", 1, "", "")]).state == "rewritten"
    assert examine(TENANT, log, [mark(log[3]), Mark(TENANT, 4, "other", "")]).state == "forked"
    assert examine(TENANT, [{"number": 1}], []).state == "rewritten"


def test_the_database_holds_it_too(hub, state):
    for statement in ("UPDATE audit SET action = 'nothing'", "DELETE FROM audit"):
        with (
            pytest.raises(Exception, match="only grows"),
            state.database.engine.execution_options(edgewright_tenant="*").begin() as connection,
        ):
            connection.execute(text(statement))


def test_lines_of_many_at_once_are_one_chain(state, clock):
    tenant, _ = make_tenant(state, "north", "owner")

    def act(name):
        for number in range(8):
            with state.database.write(tenant) as session:
                tell(session, Actor("user", name, name), "did", f"{number}", clock(), {"share": 1 / 3, "big": 1e300})

    threads = [threading.Thread(target=act, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = list(lines(state.database, tenant))
    assert len(log) == 34 and examine(tenant, log, []).state == "whole"


def test_what_was_not_done_is_not_told(state, clock):
    tenant, _ = make_tenant(state, "north", "owner")
    with pytest.raises(ZeroDivisionError), state.database.write(tenant) as session:
        tell(session, Actor("user", "a", "a"), "did", "it", clock())
        raise ZeroDivisionError
    assert len(list(lines(state.database, tenant))) == 2


def verify(tmp_path, heads, key, capsys):
    status = main(["audit", "verify", str(tmp_path / "log"), "--heads", str(heads), "--key", str(key)])
    return status, capsys.readouterr().out


def test_an_export_is_verified_by_command(hub, state, tmp_path, capsys, clock):
    folder, key = state.folder / "audit", state.key.path.with_name("own.pub")
    assert export_heads(state.database, folder, state.key, clock()) == 2
    assert export_heads(state.database, folder, state.key, clock()) == 0
    heads = folder / hub.tenants["north"]
    hub.north.post("/api/edge/tokens", {"name": "t"})
    assert export_heads(state.database, folder, state.key, clock()) == 1
    assert [m.number for m in read_heads(heads, [state.key.public])] == [4, 5]
    log = hub.north.ask("GET", "/api/edge/audit/export", 200).content
    (tmp_path / "log").write_bytes(log)
    assert verify(tmp_path, heads, key, capsys) == (
        0, "whole: 5 lines, each following from the one before, and 2 signed heads bear it out\n",
    )  # fmt: skip
    (tmp_path / "log").write_bytes(b"".join(log.splitlines(keepends=True)[:4]))
    assert verify(tmp_path, heads, key, capsys)[0] == 1
    (tmp_path / "log").write_bytes(log.replace(b"login.made", b"login.left"))
    assert verify(tmp_path, heads, key, capsys)[1].startswith("rewritten: line 3")


def test_a_rewritten_database_shows(hub, state, clock):
    """Whoever has the database and drops its triggers does not have the heads."""
    folder, tenant = state.folder / "audit", hub.tenants["north"]
    export_heads(state.database, folder, state.key, clock())
    with state.database.engine.execution_options(edgewright_tenant="*").begin() as connection:
        if state.database.engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_no_update"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER only_grows"))
        log = list(lines(state.database, tenant)) if connection.dialect.name != "sqlite" else None
        connection.execute(text("UPDATE audit SET subject = 'usr_other' WHERE number = 3"))
    del log
    with state.database.write("*") as session:
        digest = None
        for entry in session.query(Entry).filter_by(tenant=tenant).order_by(Entry.number):
            from edgewright.hub.accounts.audit import line

            digest = entry.digest = line_digest(digest or origin(tenant), line(entry))
    log = list(lines(state.database, tenant))
    assert examine(tenant, log, []).state == "whole"
    found = examine(tenant, log, read_heads(folder / tenant, [state.key.public]))
    assert (found.state, found.number) == ("rewritten", 4)


def test_heads_are_believed_with_their_signature_only(hub, state, tmp_path, clock):
    folder = state.folder / "audit"
    export_heads(state.database, folder, state.key, clock())
    heads = folder / hub.tenants["north"]
    with pytest.raises(TrustError):
        read_heads(heads, [SigningKey.generate().public])
    (path,) = heads.glob("*.head")
    path.write_bytes(path.read_bytes().replace(b'"number":4', b'"number":3'))
    with pytest.raises(TrustError):
        read_heads(heads, [state.key.public])
    with pytest.raises(InputError):
        read_heads(tmp_path, [state.key.public])


def test_the_head_is_told_signed(hub, state):
    from edgewright.core.digests import canonical_json
    from edgewright.hub.accounts.heads import KIND
    from edgewright.trust import verify as holds

    told = hub.north.get("/api/edge/audit/head")
    signature = canonical_json(told["signature"]) + b"\n"
    assert holds(canonical_json(told["head"]), signature, KIND, [state.key.public]) == state.key.public
    assert told["head"]["tenant"] == hub.tenants["north"] and told["key"] == state.key.public.text()
    assert (
        json.loads(hub.north.ask("GET", "/api/edge/audit/export").content.splitlines()[-1])["digest"]
        == told["head"]["digest"]
    )
