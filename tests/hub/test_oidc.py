"""Logging in at a real OpenID provider that the tests start, and every ID token that must not let in."""

import contextlib
import re
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from edgewright.core.errors import InputError, TrustError
from edgewright.hub.accounts import oidc
from edgewright.hub.accounts.claims import Asked, check_page, check_url, read_claims

START = """
import warnings; warnings.simplefilter("ignore")
import oidc_provider_mock, sys
users = [oidc_provider_mock.User(sub=s, claims=c) for s, c in [
    ("ada", {"email": "ada@example.com", "email_verified": True, "name": "Ada", "groups": ["fleet"]}),
    ("eve", {"email": "owner", "email_verified": False, "preferred_username": "owner", "groups": ["fleet"]}),
    ("bob", {"name": "Bob"}),
]]
with oidc_provider_mock.run_server_in_thread(user_claims=users) as server:
    print(f"http://localhost:{server.server_port}", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def issuer():
    words = [sys.executable, "-c", START]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as p:
        try:
            yield p.stdout.readline().strip()
        finally:
            p.stdin.close()
            p.wait(30)


@pytest.fixture
def provided(hub, clock, issuer):
    clock.now = datetime.now(UTC)  # the provider's own clock cannot be set
    hub.north = hub.log_in_again("north")
    body = {
        "issuer": issuer,
        "client": "edgewright",
        "secret": "s: %",
        "claim": "groups",
        "roles": {"fleet": "operator"},
    }
    assert "secret" not in hub.north.ask("PUT", "/api/edge/tenant/provider", 200, json=body).json()
    return hub


def begin(hub, tenant="north", page="/"):
    answer = hub.nobody.client.get(
        "/api/edge/login/provider", params={"tenant": tenant, "page": page}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def at_provider(url, sub):
    """What a person does there; the URL the browser is sent back to."""
    answer = httpx2.post(url, data={"sub": sub}, follow_redirects=False)
    assert answer.status_code in (302, 303), answer.text
    return answer.headers["location"]


def back(hub, url, **changes):
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} | changes
    return hub.nobody.client.get("/api/edge/login/provider/callback", params=query, follow_redirects=False)


def test_one_logs_in_there_and_is_known_the_next_time(provided):
    for _ in range(2):
        provided.nobody.client.cookies.clear()
        url = begin(provided, page="/devices?x=1")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["code_challenge_method"] == "S256" and asked["scope"].split()[0] == "openid"
        answer = back(provided, at_provider(url, "ada"))
        assert answer.status_code == 303 and answer.headers["location"] == "/devices?x=1", answer.text
        me = provided.nobody.get("/api/edge/account")
        assert (
            me["user"]["name"] == "ada@example.com" and me["user"]["roles"] == ["operator"] and me["user"]["provider"]
        )
    users = provided.north.get("/api/edge/users")["items"]
    assert [user["name"] for user in users] == ["owner", "ada@example.com"]
    actions = [line["action"] for line in provided.north.get("/api/edge/audit?limit=3")["items"]]
    assert actions == ["login.made", "login.made", "user.made"]


def test_a_name_is_no_proof(provided):
    """Somebody called `owner` there is not the owner here."""
    back(provided, at_provider(begin(provided), "eve"))
    me = provided.nobody.get("/api/edge/account")["user"]
    assert me["id"] != provided.north.id and re.fullmatch(r"owner#\w{6}", me["name"]) and me["roles"] == ["operator"]


def test_whom_it_gives_no_role_stays_out(provided):
    assert back(provided, at_provider(begin(provided), "bob")).status_code == 403
    assert len(provided.north.get("/api/edge/users")["items"]) == 1


def test_a_browser_is_shown_the_page_that_says_why(provided):
    provided.nobody.client.headers["Accept"] = "text/html,*/*"
    answer = back(provided, at_provider(begin(provided), "bob"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/edge-ai?refused=role")
    answer = back(provided, "http://hub/?error=access_denied")
    assert (answer.status_code, answer.headers["location"]) == (303, "/edge-ai?refused=again")


def test_who_is_shut_out_here_stays_out(provided):
    back(provided, at_provider(begin(provided), "ada"))
    ada = provided.nobody.get("/api/edge/account")["user"]["id"]
    provided.north.ask("PATCH", f"/api/edge/users/{ada}", 200, json={"active": False})
    provided.nobody.client.cookies.clear()
    assert back(provided, at_provider(begin(provided), "ada")).status_code == 403


def test_whoever_asks_is_not_told_what_the_hub_reaches(provided):
    """Nobody is logged in here, and the address is whatever a tenant's owner wrote."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    body = {"issuer": f"http://127.0.0.1:{port}", "client": "edgewright", "secret": "s", "roles": {"*": "viewer"}}
    provided.north.ask("PUT", "/api/edge/tenant/provider", 200, json=body)
    ask = "/api/edge/login/provider?tenant=north"
    assert "cannot be used just now" in provided.nobody.ask("GET", ask, 422).json()["detail"]
    told = provided.nobody.ask("GET", f"{ask}&page=//elsewhere.example", 422).json()["detail"]
    assert "cannot be used just now" not in told


def test_other_roles_there_are_other_roles_here(provided, issuer):
    back(provided, at_provider(begin(provided), "ada"))
    body = {"issuer": issuer, "client": "edgewright", "secret": "s", "roles": {"*": "viewer"}}
    provided.north.ask("PUT", "/api/edge/tenant/provider", 200, json=body)
    back(provided, at_provider(begin(provided), "ada"))
    assert provided.nobody.get("/api/edge/account")["user"]["roles"] == ["viewer"]


def test_an_answer_counts_once_in_the_browser_it_belongs_to(provided, clock):
    url = at_provider(begin(provided), "ada")
    cookies = dict(provided.nobody.client.cookies)
    provided.nobody.client.cookies.clear()
    assert back(provided, url).status_code == 401  # another browser: a login that somebody else began
    provided.nobody.client.cookies.update(cookies)
    assert back(provided, url, state="att.x.y.z").status_code == 401
    assert back(provided, url, iss="https://elsewhere.example").status_code == 422
    assert back(provided, url).status_code == 401  # used up by the try before
    provided.nobody.client.cookies.clear()
    url = at_provider(begin(provided), "ada")
    clock.go_on(minutes=11)
    assert back(provided, url).status_code == 401
    assert back(provided, at_provider(begin(provided), "ada"), code="other").status_code == 422
    assert back(provided, begin(provided), error="access_denied", code="").status_code == 401


def test_a_tenant_without_a_provider_has_none(provided):
    answer = provided.nobody.client.get("/api/edge/login/provider?tenant=south", follow_redirects=False)
    assert answer.status_code == 401
    provided.north.ask("DELETE", "/api/edge/tenant/provider", 204)
    provided.north.ask("GET", "/api/edge/tenant/provider", 404)
    provided.north.ask("DELETE", "/api/edge/tenant/provider", 404)


NOW = datetime(2026, 11, 21, tzinfo=UTC)
ASKED = Asked("https://login.example.com", "edgewright", "n-once")
GOOD = {
    "iss": ASKED.issuer, "aud": "edgewright", "sub": "ada", "nonce": "n-once", "exp": NOW.timestamp() + 60,
    "iat": NOW.timestamp(), "groups": ["fleet"],
}  # fmt: skip
BAD = {
    "issuer": {"iss": "https://elsewhere.example"}, "issuer with a slash": {"iss": ASKED.issuer + "/"},
    "audience": {"aud": "other"}, "no audience": {"aud": None},
    "several without a party": {"aud": ["edgewright", "other"]},
    "party": {"azp": "other"}, "expired": {"exp": NOW.timestamp() - 61}, "never expires": {"exp": None},
    "expiry of another kind": {"exp": "2030"}, "true": {"exp": True}, "from the future": {"iat": NOW.timestamp() + 61},
    "no time": {"iat": None}, "nonce": {"nonce": "other"}, "no nonce": {"nonce": None}, "nobody": {"sub": ""},
    "subject of another kind": {"sub": 7}, "odd subject": {"sub": "a\nb"}, "long subject": {"sub": "x" * 256},
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_an_id_token_that_does_not_fit_lets_nobody_in(what):
    with pytest.raises(TrustError):
        read_claims(GOOD | BAD[what], ASKED, NOW, "groups", {"fleet": "operator"})


def test_an_id_token_that_fits_is_an_identity():
    who = read_claims(GOOD | {"aud": ["edgewright"]}, ASKED, NOW, "groups", {"fleet": "operator", "*": "viewer"})
    assert who.subject == "ada" and who.roles == ("operator", "viewer")
    assert read_claims(GOOD, ASKED, NOW, "department", {"fleet": "operator"}).roles == ()
    assert read_claims(GOOD | {"groups": "fleet"}, ASKED, NOW, "groups", {"fleet": "operator"}).roles == ("operator",)


@pytest.mark.parametrize("page", ["//elsewhere", "https://elsewhere", "/\\elsewhere", "", "x", "/a\n", "/" + "x" * 400])
def test_one_is_not_sent_to_another_site(page):
    with pytest.raises(InputError):
        check_page(page)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com",
        "https://",
        "ftp://x",
        "https://u:p@x",
        "https://x#y",
        "http://localhost",
        "https://[",
        "",
    ],
)  # fmt: skip
def test_a_provider_is_asked_over_tls(url):
    with pytest.raises(InputError):
        check_url(url, loopback=False)
    assert check_url("http://localhost:1/", loopback=True)


def test_a_provider_that_never_comes_to_an_end_is_given_up(hub, monkeypatch):
    """It sends a byte of its head from time to time: each read is soon over, and all of them never are."""
    over = threading.Event()
    monkeypatch.setattr(oidc, "_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            taken, _ = server.accept()
            with taken, contextlib.suppress(OSError):
                taken.sendall(b"HTTP/1.1 200 OK\r\nx-long: ")
                while not over.wait(0.05):
                    taken.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(InputError, match="did not answer within"):
                oidc.discover(hub.state, f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            over.set()
            thread.join(60)
