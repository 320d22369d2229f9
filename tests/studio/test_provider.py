"""Logging in at the organisation's own provider, in a browser."""

from pathlib import Path

import pytest

from edgewright.hub.accounts.tables import Provider
from edgewright.testing.beside import beside

issuer = beside(Path(__file__).parents[1] / "hub" / "test_oidc.py").issuer


@pytest.fixture
def provider(hub, issuer):
    with hub.state.database.write(hub.tenants["plant"]) as session:
        row = Provider()
        row.issuer, row.client, row.claim = issuer, "edgewright", "groups"
        row.secret, row.roles, row.changed = (
            hub.state.safe.seal("s", "provider"),
            {"fleet": "operator"},
            hub.state.clock(),
        )
        session.add(row)
    yield
    with hub.state.database.write(hub.tenants["plant"]) as session:
        session.delete(session.query(Provider).one())


def log_in(visit, sub, tenant="plant"):
    page = visit(tenant=None).open("/models")
    page.get_by_label("Tenant").fill(tenant)
    page.get_by_role("button", name="Log in with your organisation").click()
    page.get_by_label("sub").or_(page.locator("input[name=sub]")).first.fill(sub)
    page.locator("button[type=submit], input[type=submit]").first.click()
    return page


def test_one_logs_in_there_and_comes_back_to_the_page(visit, provider):
    page = log_in(visit, "ada")
    page.wait_for_url("**/edge-ai/models")
    page.get_by_role("heading", name="Models").wait_for()


def test_whom_it_gives_no_role_is_told_so(visit, provider):
    page = log_in(visit, "bob")
    page.get_by_role("alert").get_by_text("gives you no role here").wait_for()


def test_where_no_tenant_has_one_there_is_no_way_to_it(visit):
    page = visit(tenant=None).page
    with page.expect_response("**/api/edge/login") as told:
        page.goto("/edge-ai")
    assert told.value.json() == {"provider": False}
    page.get_by_role("button", name="Log in", exact=True).wait_for()
    assert not page.get_by_role("button", name="Log in with your organisation").count()


def test_a_tenant_without_one_says_so_and_the_page_stays(visit, provider):
    page = visit(tenant=None).open("")
    page.get_by_label("Tenant").fill("empty")
    page.get_by_role("button", name="Log in with your organisation").click()
    page.get_by_role("alert").get_by_text("use a password").wait_for()
    page.get_by_label("Password", exact=True).wait_for()
