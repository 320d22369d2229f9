"""Logging in, users, roles, tokens: as somebody meets them at the API, on both databases."""

from dataclasses import replace

import pytest
from sqlalchemy import select, text

from edgewright.core.errors import InputError
from edgewright.hub.accounts.people import make_first_tenant, reset_password
from edgewright.hub.accounts.rules import PERMISSIONS, ROLES, check_password, granted, pause_s
from edgewright.hub.accounts.tables import Login, Token, User
from edgewright.hub.database import EVERY

NEW = "a rather long new passphrase"


def login(hub, name="owner", password="four unrelated words here", tenant="north", **options):
    body = {"tenant": tenant, "name": name, "password": password}
    return hub.nobody.ask("POST", "/api/edge/login", json=body, **options)


def test_the_first_start_makes_an_owner_once(state):
    assert make_first_tenant(state) is not None
    assert make_first_tenant(state) is None


def test_one_logs_in_lists_users_and_the_log_shows_it(hub):
    assert [user["name"] for user in hub.north.get("/api/edge/users")["items"]] == ["owner"]
    log = hub.north.get("/api/edge/audit")["items"]
    assert [line["action"] for line in log] == ["user.password-changed", "login.made", "user.made", "tenant.made"]
    assert log[0]["actor"]["id"] == hub.north.id and log[0]["request"].startswith("req_")


def test_a_one_time_password_lets_in_to_change_it_and_nothing_else(hub, clock):
    made = hub.north.post("/api/edge/users", {"name": "Ada", "roles": ["owner"]})
    assert made["name"] == "ada" and made["invited"]
    session = login(hub, "ADA", made["password"]).json()
    assert session["must_change"]
    headers = {"Authorization": f"Bearer {session['session']}"}
    for path in ("/api/edge/users", "/api/edge/tokens", "/api/edge/audit"):
        answer = hub.nobody.ask("GET", path, 403, headers=headers).json()
        assert answer["type"].endswith("password-change-needed")
    change = {"now": made["password"], "new": NEW}
    hub.nobody.ask("PUT", "/api/edge/account/password", 204, headers=headers, json=change)
    assert len(hub.nobody.get("/api/edge/users", headers=headers)["items"]) == 2
    assert login(hub, "ada", made["password"]).status_code == 401
    clock.go_on(days=2)
    assert login(hub, "ada", NEW).status_code == 201


def test_a_one_time_password_ends(hub, clock):
    made = hub.north.post("/api/edge/users", {"name": "ada", "roles": ["viewer"]})
    clock.go_on(days=4)
    assert login(hub, "ada", made["password"]).status_code == 401


@pytest.mark.parametrize(
    "name, password, tenant",
    [("owner", "wrong", "north"), ("nobody", "four unrelated words here", "north"), ("owner", "wrong", "nowhere")],
)
def test_what_is_wrong_is_not_told(hub, name, password, tenant):
    answer = login(hub, name, password, tenant)
    assert (
        answer.status_code == 401
        and answer.json()["detail"] == "the name or the password is wrong, or it is another tenant's"
    )


def test_passwords_cannot_be_tried_for_long(hub, clock):
    for _ in range(5):
        assert login(hub, password="wrong").status_code == 401
    answer = login(hub)
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1
    clock.go_on(seconds=1)
    assert login(hub).status_code == 201
    assert login(hub, password="wrong").status_code == 401
    assert login(hub).status_code == 201


@pytest.mark.parametrize(("name", "tenant"), [("nobody", "north"), ("owner", "nowhere")])
def test_names_that_are_not_there_pause_like_others(hub, clock, name, tenant):
    """Else a pause would tell which there are."""
    for _ in range(5):
        assert login(hub, name, "wrong", tenant).status_code == 401
    refused = login(hub, name.upper(), "wrong", tenant)
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
    clock.go_on(seconds=1)
    assert login(hub, name, "wrong", tenant).status_code == 401
    assert login(hub, name, "wrong", tenant).headers["Retry-After"] == "2"
    assert login(hub, f"{name}2", "wrong", tenant).status_code == 401


@pytest.mark.parametrize("failures, seconds", [(0, 0), (4, 0), (5, 1), (8, 8), (14, 512), (15, 900), (10_000, 900)])
def test_pauses_grow(failures, seconds):
    assert pause_s(failures) == seconds


@pytest.mark.parametrize(
    "weak",
    ["short", "aaaaaaaaaaaaaaaa", "passwordpassword1", "12345678qwerty", "annabelle1234", "abababababab", "x" * 257],
)
def test_weak_passwords_are_refused(weak):
    with pytest.raises(InputError):
        check_password(weak, "annabelle@example.com")


def test_passwords_that_look_alike_are_alike():
    assert check_password("caf\u0065\u0301 au lait tonight", "ada") == check_password(
        "caf\u00e9 au lait tonight", "ada"
    )


def test_a_password_change_ends_the_other_sessions(hub):
    other = {"Authorization": f"Bearer {login(hub).json()['session']}"}
    change = {"now": "four unrelated words here", "new": NEW}
    hub.north.ask("PUT", "/api/edge/account/password", 204, json=change)
    hub.nobody.ask("GET", "/api/edge/account", 401, headers=other)
    assert hub.north.get("/api/edge/account")["user"]["name"] == "owner"
    hub.north.ask("PUT", "/api/edge/account/password", 403, json=change)


def test_sessions_end(hub, clock):
    clock.go_on(hours=11)
    hub.north.get("/api/edge/account")
    hub.south.ask("DELETE", "/api/edge/login", 204)
    hub.south.get("/api/edge/account", 401)
    clock.go_on(hours=1)
    hub.north.get("/api/edge/account", 401)


def test_a_cookie_is_a_session_for_pages_of_ours_only(hub):
    answer = login(hub)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    assert hub.nobody.get("/api/edge/account", headers=headers)["user"]["name"] == "owner"
    for more, status in (
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Origin": "https://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403), ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://hub"}, 201),
    ):  # fmt: skip
        hub.nobody.ask("POST", "/api/edge/tokens", status, json={"name": "t"}, headers=headers | more)
    assert login(hub, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_behind_a_proxy_that_ends_tls_pages_of_the_public_address_are_ours(hub):
    public = type(hub)(replace(hub.state, public_url="https://hub.example"), hub)
    answer = login(public, headers={"Origin": "https://hub.example", "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 201 and "Secure" in answer.headers["set-cookie"]
    assert login(public, headers={"Origin": "https://other.example"}).status_code == 403
    assert login(hub, headers={"Origin": "https://hub.example"}).status_code == 403


def token(someone, **body):
    return someone.post("/api/edge/tokens", {"name": "t"} | body)


def as_(hub, made):
    from copy import copy

    who = copy(hub.nobody)
    who.client = type(hub.nobody.client)(hub.app, base_url="http://hub")
    who.client.headers["Authorization"] = f"Bearer {made['token']}"
    return who


def test_a_token_may_what_its_scopes_say(hub):
    made = token(hub.north, scopes=["users.read"])
    who = as_(hub, made)
    assert who.get("/api/edge/account")["may"] == ["users.read"]
    who.get("/api/edge/users")
    who.ask("GET", "/api/edge/audit", 403)
    who.ask("POST", "/api/edge/users", 403, json={"name": "b", "roles": ["viewer"]})
    assert "token" not in hub.north.get("/api/edge/tokens")["items"][0]


def test_a_token_makes_none_that_may_more_or_lasts_longer(hub):
    made = token(hub.north, scopes=["users.read", "tokens.write"], days=3)
    who = as_(hub, made)
    who.ask("POST", "/api/edge/tokens", 403, json={"name": "more", "scopes": ["audit.read"]})
    child = who.post("/api/edge/tokens", {"name": "child", "days": 300})
    assert child["scopes"] == ["tokens.write", "users.read"] and child["until"] == made["until"]
    who.ask("PUT", "/api/edge/account/password", 403, json={"now": "four unrelated words here", "new": NEW})


def test_a_token_gives_and_touches_no_roles_beyond_its_scopes(hub):
    viewer = hub.user("vera", "viewer")
    some = as_(hub, token(hub.north, scopes=["users.write", "users.read", "tenant.write"]))
    path = f"/api/edge/users/{viewer.id}"
    owner = f"/api/edge/users/{hub.north.id}"
    for role in ("owner", "viewer"):
        some.ask("POST", "/api/edge/users", 403, json={"name": "mallory", "roles": [role]})
    some.ask("PATCH", path, 403, json={"roles": ["owner"]})
    some.ask("PATCH", owner, 403, json={"roles": ["viewer"]})
    some.ask("PATCH", owner, 403, json={"active": False})
    some.ask("POST", f"{owner}/password", 403)
    provider = {"issuer": "https://id.example", "client": "c", "secret": "s" * 20, "claim": "groups"}
    some.ask("PUT", "/api/edge/tenant/provider", 403, json=provider | {"roles": {"*": "owner"}})
    seen = hub.north.get("/api/edge/users")["items"]
    assert {one["name"]: one["roles"] for one in seen} == {"owner": ["owner"], "vera": ["viewer"]}
    wider = as_(hub, token(hub.north, scopes=["users.write", *viewer.get("/api/edge/account")["may"]]))
    wider.ask("POST", f"{path}/password", 201)
    wider.ask("PATCH", path, 200, json={"active": False})
    wider.ask("POST", "/api/edge/users", 201, json={"name": "vic", "roles": ["viewer"]})


def test_tokens_end(hub, clock):
    made, other = token(hub.north, days=1), token(hub.north, days=30)
    hub.north.ask("DELETE", f"/api/edge/tokens/{other['id']}", 204)
    as_(hub, other).get("/api/edge/account", 401)
    as_(hub, made).get("/api/edge/account")
    clock.go_on(days=1)
    as_(hub, made).get("/api/edge/account", 401)


def test_secrets_are_kept_as_digests(hub, state):
    made = token(hub.north)
    with state.database.engine.execution_options(edgewright_tenant=EVERY).begin() as connection:
        for table in ("tokens", "logins", "users", "audit", "idempotency"):
            rows = str(connection.execute(text(f"SELECT * FROM {table}")).all())
            for secret in (
                made["token"],
                made["token"].split(".")[-1],
                hub.north.token.split(".")[-1],
                hub.first["north"],
            ):
                assert secret not in rows, table


@pytest.mark.parametrize("change", ["t", "secret", "id", "tenant", "empty", "long", "odd"])
def test_a_credential_that_was_changed_is_none(hub, change):
    kind, tenant, key, secret = token(hub.north)["token"].split(".")
    told = {
        "t": f"log.{tenant}.{key}.{secret}", "secret": f"{kind}.{tenant}.{key}.{secret[:-1]}",
        "id": f"{kind}.{tenant}.{'0' * 26}.{secret}", "tenant": f"{kind}.{hub.tenants['south'][4:]}.{key}.{secret}",
        "empty": "", "long": "x" * 5000, "odd": "....",
    }[change]  # fmt: skip
    hub.nobody.ask("GET", "/api/edge/account", 401, headers={"Authorization": f"Bearer {told}"})


def test_who_is_shut_out_is_out(hub, state):
    ada = hub.user("ada", "operator")
    made = token(ada)
    hub.north.ask("PATCH", f"/api/edge/users/{ada.id}", 200, json={"active": False})
    ada.get("/api/edge/account", 401)
    as_(hub, made).get("/api/edge/account", 401)
    assert login(hub, "ada").status_code == 401
    hub.north.ask("PATCH", f"/api/edge/users/{ada.id}", 200, json={"active": True})
    ada.get("/api/edge/account", 401)
    as_(hub, made).get("/api/edge/account", 401)
    assert login(hub, "ada").status_code == 201


def test_other_roles_hold_at_once_for_tokens_too(hub):
    ada = hub.user("ada", "owner")
    who = as_(hub, token(ada))
    who.get("/api/edge/users")
    hub.north.ask("PATCH", f"/api/edge/users/{ada.id}", 200, json={"roles": ["viewer"]})
    who.get("/api/edge/users", 403)
    ada.get("/api/edge/users", 403)


@pytest.mark.parametrize("change", [{"active": False}, {"roles": ["viewer"]}])
def test_the_last_owner_stays(hub, change):
    hub.north.ask("PATCH", f"/api/edge/users/{hub.north.id}", 409, json=change)
    other = hub.user("ada", "owner")
    hub.north.ask("PATCH", f"/api/edge/users/{hub.north.id}", 200, json=change)
    other.ask("PATCH", f"/api/edge/users/{other.id}", 409, json=change)


def test_a_lost_password_is_given_anew_on_the_hubs_machine(hub, state):
    password = reset_password(state, "north", "owner")
    hub.north.get("/api/edge/account", 401)
    assert login(hub).status_code == 401
    assert login(hub, password=password).json()["must_change"]
    with pytest.raises(InputError):
        reset_password(state, "north", "nobody")


def test_users_have_names_of_their_own_within_a_tenant(hub):
    hub.north.post("/api/edge/users", {"name": "ada", "roles": ["viewer"]})
    hub.north.ask("POST", "/api/edge/users", 409, json={"name": "ADA", "roles": ["viewer"]})
    hub.south.post("/api/edge/users", {"name": "ada", "roles": ["viewer"]})


def test_roles_add_up_and_the_owner_may_all():
    assert granted(["operator", "releaser"]) == ROLES["operator"] | ROLES["releaser"]
    assert granted(["owner"]) == set(PERMISSIONS)
    assert granted(["no such role"]) == frozenset()
    assert "rollouts.write" not in ROLES["operator"] and "devices.write" not in ROLES["releaser"]
    assert all(ROLES["viewer"] <= ROLES[role] for role in ROLES)


def test_rows_of_a_user_go_with_nobody_elses(hub, state):
    token(hub.north)
    with state.database.write(hub.tenants["north"]) as session:
        session.delete(session.find(User, hub.north.id))
    with state.database.read(EVERY) as session:
        assert session.scalars(select(Token)).all() == []
        assert {login.user for login in session.scalars(select(Login))} == {hub.south.id}
