"""Webhooks: what must not be reached."""

import asyncio
import ipaddress
import ssl
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from alerts_receivers import NOT_TAKEN, Receiver, certificate, make, tried

from edgewright.core.errors import InputError
from edgewright.hub.alerts import testing, webhooks
from edgewright.hub.app import make_app
from edgewright.hub.serving import Address, bind


def test_private_addresses_are_the_hubs_operators(hub, receiver):
    hook = make(hub.north, receiver.url)
    shut = replace(hub.state, private_webhooks=False)
    north = type(hub.north)(make_app(shut), hub.north.token)
    answer = north.ask("POST", "/api/edge/webhooks", 403, json={"url": receiver.url, "private": True})
    assert "--private-webhooks" in answer.json()["detail"]
    north.post(f"/api/edge/webhooks/{hook['id']}/test", None, 202)
    testing.settle(shut)
    (one,) = north.get("/api/edge/alerts/deliveries")["items"]
    assert one["state"] == "given_up" and receiver.got == []


def test_of_a_private_address_nothing_is_told_but_whether_it_took_it(hub, receiver):
    receiver.status = 418
    with bind(Address("127.0.0.1", 0)) as shut:
        closed = f"http://127.0.0.1:{shut.getsockname()[1]}/"
    told = set()
    for url in (receiver.url, closed):
        told.add(tried(hub, f"/api/edge/webhooks/{make(hub.north, url)['id']}/test")["told"])
    assert told == {NOT_TAKEN}


def test_private_addresses_take_an_owner(hub):
    operator = hub.user("op", "operator")
    url = "https://10.1.2.3/hook"
    operator.ask("POST", "/api/edge/webhooks", 422, json={"url": url})
    operator.ask("POST", "/api/edge/webhooks", 403, json={"url": url, "private": True})
    hub.north.ask("POST", "/api/edge/webhooks", 422, json={"url": url})
    make(hub.north, url)
    operator.post("/api/edge/webhooks", {"url": "https://hooks.example.com/x"})


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "http://10.0.0.1/", "ftp://example.com/", "https://", "https://u:p@example.com/",
        "https://example.com/#x", "https://example.com:99999/", "https://exa mple.com/", "https://169.254.169.254/latest",
        "https://[fe80::1]/", "https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://[fd00:ec2::254]/",
        "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://255.255.255.255/", "x" * 9,
        "https://[2002:a9fe:a9fe::1]/", "https://b\\c/",
    ],
)  # fmt: skip
def test_urls_that_no_owner_may_name(url):
    with pytest.raises(InputError):
        webhooks.check_url(url, private=True)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.216.34", True, True), ("2606:2800:220:1::1", True, True), ("10.0.0.1", False, True),
        ("192.168.1.9", False, True), ("172.16.0.1", False, True), ("127.0.0.1", False, True), ("::1", False, True),
        ("fd12:3456::1", False, True), ("::ffff:10.0.0.1", False, True), ("169.254.1.1", False, False),
        ("fe80::1", False, False), ("100.64.0.1", False, False), ("0.0.0.0", False, False), ("::", False, False),
        ("224.0.0.1", False, False), ("ff02::1", False, False), ("240.0.0.1", False, False),
        ("192.0.2.1", False, False), ("2002:7f00:1::", False, True), ("64:ff9b::7f00:1", False, True),
    ],
)  # fmt: skip
def test_addresses(address, public, private):
    one = ipaddress.ip_address(address)
    assert (webhooks.allowed(one, False), webhooks.allowed(one, True)) == (public, private)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.0.0.1", "017700000001"])
def test_a_name_is_judged_by_what_it_leads_to(host, receiver):
    """Spellings that a resolver takes for this machine are refused where private addresses are not allowed."""
    hook = webhooks.Hook(f"https://{host}:{receiver.port}/", webhooks.new_secret(), private=False)

    async def ask():
        async with webhooks.client() as asking:
            return await webhooks.post(asking, hook, "dlv_1", b"{}", datetime.now(UTC))

    outcome = asyncio.run(ask())
    assert not outcome.delivered and receiver.got == []
    assert "not public" in outcome.told or "cannot be reached" in outcome.told or "no public" in outcome.told


@pytest.mark.parametrize("named", ["localhost", "other.example"])
def test_tls_holds_the_name_though_the_address_is_dialled(tmp_path, monkeypatch, named):
    ca, leaf = certificate(tmp_path, named)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    with Receiver(context) as receiver:
        hook = webhooks.Hook(f"https://localhost:{receiver.port}/", webhooks.new_secret(), private=True)

        async def ask():
            async with webhooks.client() as asking:
                return await webhooks.post(asking, hook, "dlv_1", b"{}", datetime.now(UTC))

        outcome = asyncio.run(ask())
        assert outcome.delivered == (named == "localhost"), outcome
        assert len(receiver.got) == (named == "localhost")
        if receiver.got:
            assert receiver.got[0][1]["Host"] == f"localhost:{receiver.port}"
