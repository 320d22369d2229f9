"""Webhooks to a real HTTP server, mail to a real SMTP server: what arrives, what must not be reached, what is tried
again."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import ipaddress
import json
import ssl
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default as policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from edgewright.core.errors import InputError
from edgewright.hub.alerts import mail, outbox, testing, webhooks
from edgewright.hub.alerts import rounds as module
from edgewright.hub.alerts.outbox import PATIENCE, back_off
from edgewright.hub.alerts.rounds import rounds
from edgewright.hub.alerts.tables import Delivery, Webhook
from edgewright.hub.app import make_app
from edgewright.hub.fleet.tables import Device
from edgewright.hub.ids import new_id
from edgewright.hub.serving import Address, bind
from edgewright.hub.state import open_state

NOT_TAKEN = "it was not taken there (the address is private)"
STATUS = {"state": "idle", "current": "a" * 64, "clock_s": 1.0, "free_bytes": 0}


class Receiver:
    """An HTTP server that keeps what is posted and answers ``status``."""

    def __init__(self, context=None):
        self.got, self.status, self.headers, outer = [], 200, {}, self
        self.go = threading.Event()
        self.go.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.go.wait(9)
                outer.got.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def bodies(self):
        return [json.loads(body) for _, _, body in self.got]


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture
def minute(hub, clock, monkeypatch):
    """One device of the tenant north, ill or not, and a round a minute later."""
    monkeypatch.setattr(module, "free_share", lambda state: 1.0)
    with hub.state.database.write(hub.tenants["north"]) as session:
        session.add(
            Device(name="pump-1", group="line-3", labels={}, facts={}, revision=0, config={}, collect={}, status=STATUS,
                   made=clock(), seen=clock(), changed=clock())
        )  # fmt: skip

    def run(ill=True, minutes=1):
        for _ in range(minutes):
            clock.go_on(minutes=1)
            with hub.state.database.write(hub.tenants["north"]) as session:
                row = session.find(Device, "pump-1")
                row.seen, row.status = clock(), STATUS | {"free_bytes": 0 if ill else 1 << 33}
            rounds(hub.state, clock())

    return run


def make(who, url, **body):
    return who.post("/api/edge/webhooks", {"url": url, "private": True} | body)


def tried(hub, path, **options):
    """How a test went."""
    made = hub.north.post(path, None, 202, **options)
    testing.settle(hub.state)
    return next(o for o in hub.north.get("/api/edge/alerts/deliveries")["items"] if o["id"] == made["id"])


def verify(secret, headers, body, now):
    """As a receiver does it, after the text of Standard Webhooks 1.0."""
    id_, at = headers["webhook-id"], headers["webhook-timestamp"]
    assert abs(now.timestamp() - int(at)) < 300, "too old: a replay"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = base64.b64encode(hmac.new(key, f"{id_}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(one, f"v1,{made}") for one in headers["webhook-signature"].split())


def test_a_signature_is_the_standards():
    at = datetime.fromtimestamp(1614265330, UTC)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the vector that its libraries are tested with
    made = webhooks.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_alert_is_posted_signed_once_and_again_when_it_is_over(hub, clock, minute, receiver):
    hook = make(hub.north, receiver.url)
    make(hub.south, receiver.url + "/south")
    minute(minutes=3)
    ((path, headers, body),) = receiver.got
    assert path == "/hook" and headers["Content-Type"] == "application/json"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert verify(hook["secret"], headers, body, clock())
    assert not verify(hook["secret"], headers, body + b" ", clock())
    assert not verify("whsec_" + base64.b64encode(b"x" * 24).decode(), headers, body, clock())
    with pytest.raises(AssertionError, match="replay"):
        verify(hook["secret"], headers, body, clock() + timedelta(minutes=10))
    told = json.loads(body)
    assert told["type"] == "alert.raised" and told["data"]["kind"] == "device.ill"
    assert told["data"]["tenant"] == hub.tenants["north"]
    minute(ill=False, minutes=8)
    assert [(one["type"], one["data"]["state"]) for one in receiver.bodies()] == [
        ("alert.raised", "open"), ("alert.resolved", "resolved")
    ]  # fmt: skip
    listed = hub.north.get(f"/api/edge/webhooks/{hook['id']}/deliveries")["items"]
    assert [(one["state"], one["told"], one["tries"]) for one in listed] == [("delivered", "status 200", 1)] * 2
    assert hub.north.get("/api/edge/alerts/deliveries")["items"] == listed
    assert hub.south.get("/api/edge/alerts/deliveries")["items"] == []


def test_the_secret_is_shown_once_and_lies_sealed(hub, receiver):
    hook = make(hub.north, receiver.url)
    assert "secret" not in hub.north.get("/api/edge/webhooks")["items"][0]
    assert hub.north.get("/api/edge/webhooks")["items"][0] == {k: v for k, v in hook.items() if k != "secret"}
    log = hub.north.ask("GET", "/api/edge/audit").text
    assert "webhook.made" in log and hook["secret"] not in log
    with hub.state.database.read(hub.tenants["north"]) as session:
        (row,) = session.scalars(select(Webhook)).all()
        assert hook["secret"] not in row.secret and hub.state.safe.open(row.secret, row.id) == hook["secret"]


def test_least_severity_is_heeded(hub, minute, receiver):
    make(hub.north, receiver.url, least="critical")
    minute(minutes=2)
    assert receiver.got == []


def test_a_server_that_fails_is_tried_again_later_and_later_under_the_same_id(hub, clock, minute, receiver):
    make(hub.north, receiver.url)
    receiver.status = 503
    minute(minutes=20)
    tries = len(receiver.got)
    assert 4 <= tries <= 6
    receiver.status = 204
    minute(minutes=30)
    ids = [headers["webhook-id"] for _, headers, _ in receiver.got]
    assert len(ids) == tries + 1 and len(set(ids)) == 1
    assert len({headers["webhook-timestamp"] for _, headers, _ in receiver.got}) == len(ids)


def test_order_is_kept_behind_one_that_fails(hub, minute, receiver):
    make(hub.north, receiver.url)
    receiver.status = 500
    minute(minutes=1)
    minute(ill=False, minutes=10)
    assert {one["type"] for one in receiver.bodies()} == {"alert.raised"}
    receiver.status = 200
    minute(ill=False, minutes=30)
    assert [one["type"] for one in receiver.bodies()][-2:] == ["alert.raised", "alert.resolved"]


def test_after_a_day_it_is_given_up_and_told(hub, clock, minute, receiver):
    hook = make(hub.north, receiver.url)
    receiver.status = 500
    minute()
    clock.go_on(hours=24)
    hub.north = hub.log_in_again("north")
    minute(minutes=2)
    (one,) = hub.north.get(f"/api/edge/webhooks/{hook['id']}/deliveries")["items"]
    assert (one["state"], one["told"], one["due"]) == ("given_up", NOT_TAKEN, None)
    told = {a["kind"]: a for a in hub.north.get("/api/edge/alerts?state=open")["items"]}
    assert told["delivery.failing"]["subject"] == f"webhook/{hook['id']}"
    before = len(receiver.got)
    minute(minutes=5)
    assert len(receiver.got) == before  # of its own failing a webhook is told nothing
    receiver.status = 200
    tried(hub, f"/api/edge/webhooks/{hook['id']}/test")
    minute(minutes=8)
    assert "delivery.failing" not in {a["kind"] for a in hub.north.get("/api/edge/alerts?state=open")["items"]}


def test_one_that_is_gone_for_good_is_given_up_at_once(hub, minute, receiver):
    make(hub.north, receiver.url)
    receiver.status = 410
    minute(minutes=5)
    assert len(receiver.got) == 1


def test_a_redirect_is_not_followed(hub, minute, receiver):
    with Receiver() as inner:
        make(hub.north, receiver.url)
        receiver.status, receiver.headers = 307, {"Location": inner.url}
        minute(minutes=2)
        assert len(receiver.got) >= 1 and inner.got == []
    (one,) = hub.north.get("/api/edge/alerts/deliveries")["items"]
    assert (one["state"], one["told"]) == ("waiting", NOT_TAKEN)


def test_a_test_is_posted_at_once_and_not_tried_again(hub, clock, minute, receiver):
    hook = make(hub.north, receiver.url)
    path = f"/api/edge/webhooks/{hook['id']}/test"
    told = tried(hub, path)
    assert (told["state"], told["event"], told["told"]) == ("delivered", "test", "status 200")
    receiver.status = 500
    key = {"Idempotency-Key": "the same test twice"}
    told = tried(hub, path, headers=key)
    assert (told["state"], told["told"]) == ("given_up", NOT_TAKEN)
    again = tried(hub, path, headers=key)
    assert again["id"] == told["id"]
    assert [one["type"] for one in receiver.bodies()] == ["test", "test"]
    minute(ill=False, minutes=5)
    assert len(receiver.got) == 2
    assert hub.north.get("/api/edge/alerts?state=open")["items"] == []
    hub.user("viewer", "viewer").ask("POST", path, 403)


def test_a_test_does_not_hold_who_asks_and_goes_one_at_a_time(hub, receiver):
    receiver.go.clear()
    hook = make(hub.north, receiver.url)
    path = f"/api/edge/webhooks/{hook['id']}/test"
    assert hub.north.post(path, None, 202)["state"] == "waiting"
    assert "on its way" in hub.north.ask("POST", path, 409).text
    receiver.go.set()
    testing.settle(hub.state)
    assert tried(hub, path)["state"] == "delivered" and len(receiver.got) == 2


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


def test_a_webhook_that_is_removed_hears_nothing_more(hub, minute, receiver):
    hook = make(hub.north, receiver.url)
    receiver.status = 500
    minute()
    hub.north.ask("DELETE", f"/api/edge/webhooks/{hook['id']}", 204)
    receiver.status = 200
    before = len(receiver.got)
    minute(minutes=30)
    assert len(receiver.got) == before and hub.north.get("/api/edge/webhooks")["items"] == []


def test_a_webhook_of_another_tenant_is_not_there(hub):
    hook = make(hub.south, "https://hooks.example.com/")
    for verb, rest in (("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        for id_ in (hook["id"], "whk_" + "0" * 26):
            answer = hub.north.ask(verb, f"/api/edge/webhooks/{id_}{rest}", 404)
            assert answer.json()["detail"] == f"there is no webhook {id_!r}"
    assert len(hub.south.get("/api/edge/webhooks")["items"]) == 1


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


def certificate(folder, name):
    """A CA, and a certificate of ``name`` from it: their files."""
    now = datetime.now(UTC)

    def build(subject, key, issuer, signer, *extensions):
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        made = made.not_valid_after(now + timedelta(days=9))
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(signer, hashes.SHA256())

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = build(
        called, ca_key, called, ca_key, (x509.BasicConstraints(True, 0), True), (identifier, False), (usage, True)
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    leaf = build(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, called, ca_key,
        (x509.SubjectAlternativeName([x509.DNSName(name)]), False), (authority, False),
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + private)
    return folder / "ca.pem", folder / "leaf.pem"


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


def test_one_that_never_answers_does_not_hold_up_the_others(hub, minute, receiver, monkeypatch):
    import socket

    monkeypatch.setattr(webhooks, "TRY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        make(hub.north, f"http://127.0.0.1:{mute.getsockname()[1]}/")
        make(hub.north, receiver.url)
        minute()
    assert len(receiver.got) == 1
    told = {one["state"]: one["told"] for one in hub.north.get("/api/edge/alerts/deliveries")["items"]}
    assert told == {"delivered": "status 200", "waiting": NOT_TAKEN}


def test_back_off():
    waits = [back_off(n).total_seconds() / 60 for n in range(1, 12)]
    assert all(
        low <= wait <= low * 1.1 + 0.01 for wait, low in zip(waits, [1, 2, 4, 8, 16, 32, *[60] * 5], strict=True)
    )
    assert sum(waits) < PATIENCE.total_seconds() / 60


class Box:
    """A mailbox: what a server took."""

    def __init__(self):
        self.got = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.got.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy)))
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"hub", b"the password"))


class StartTls(Controller):
    def factory(self):
        return SMTP(
            self.handler, tls_context=self.tls, require_starttls=True, authenticator=login, auth_required=True,
            hostname="localhost",
        )  # fmt: skip


class Plain(Controller):
    def factory(self):
        return SMTP(self.handler, hostname="localhost")


@contextlib.contextmanager
def smtp(kind, **fields):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    box = Box()
    server = kind(box, hostname="127.0.0.1", port=port, ready_timeout=30)
    for name, value in fields.items():
        setattr(server, name, value)
    server.start()
    try:
        yield box, port
    finally:
        server.stop()


def write_to(who, *addresses, **more):
    who.ask("PUT", "/api/edge/alerts/rules", 200, json={"mail": list(addresses), **more})


def test_mail_of_what_happens_in_one_letter(hub, clock, minute):
    with smtp(Plain) as (box, port):
        mail.keep_account(hub.state, mail.read_account(f"smtp+plain://127.0.0.1:{port}?from=hub@example.com"))
        write_to(hub.north, "a@example.com", "b@example.com")
        with hub.state.database.write(hub.tenants["north"]) as session:
            session.add(
                Device(name="pump-2", group="", labels={}, facts={}, revision=0, config={}, collect={}, made=clock(),
                       status={}, seen=None, changed=clock(), offset_s=9e9)
            )  # fmt: skip
        minute(minutes=3)
        ((sender, to, letter),) = box.got
        assert sender == "hub@example.com" and to == ["a@example.com", "b@example.com"]
        assert "[edgewright] warning: device pump-" in letter["Subject"]
        assert letter["Subject"].endswith("(and 1 more)")
        text = letter.get_content()
        assert "device pump-1 is ill: disk" in text and "device pump-2 is ill: clock" in text
        assert letter["Auto-Submitted"] == "auto-generated" and letter["Message-ID"]
    assert {one["state"] for one in hub.north.get("/api/edge/alerts/deliveries")["items"]} == {"delivered"}


def test_mail_over_starttls_with_a_password(hub, tmp_path):
    ca, leaf = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    write_to(hub.north, "a@example.com")
    with smtp(StartTls, tls=context) as (box, port):
        url = f"smtp://hub@localhost:{port}?from=hub@example.com&ca={ca}"
        for password, state in (("the password", "delivered"), ("another", "given_up")):
            mail.keep_account(hub.state, mail.read_account(url, password))
            told = tried(hub, "/api/edge/alerts/mail/test")
            assert told["state"] == state, told
        # It hangs up when the library tries the next mechanism, too.
        assert told["told"] in ("the mail server refused with 535", "mail cannot be sent: SMTPServerDisconnected")
        mail.keep_account(hub.state, mail.read_account(url.replace(f"&ca={ca}", ""), "the password"))
        told = tried(hub, "/api/edge/alerts/mail/test")
        assert told["told"] == "mail cannot be sent: SSLCertVerificationError"
        assert len(box.got) == 1
    assert "the password" not in (hub.state.folder / "keys" / "mail.json").read_text()
    assert (hub.state.folder / "keys" / "mail.json").stat().st_mode & 0o77 == 0


def test_no_password_goes_out_in_plain(hub, tmp_path):
    """A server that offers no STARTTLS (or somebody between who strikes it out) gets nothing."""
    write_to(hub.north, "a@example.com")
    with smtp(Plain) as (box, port):
        account = mail.read_account(f"smtp://hub@localhost:{port}?from=hub@example.com", "the password")
        mail.keep_account(hub.state, account)
        told = tried(hub, "/api/edge/alerts/mail/test")
        assert told["told"] == "mail cannot be sent: SMTPNotSupportedError" and box.got == []


def test_mail_waits_for_its_server(hub, minute):
    write_to(hub.north, "a@example.com")
    minute(minutes=2)
    (one,) = hub.north.get("/api/edge/alerts/deliveries")["items"]
    assert one["state"] == "waiting" and "edgewright hub --mail" in one["told"]
    with smtp(Plain) as (box, port):
        mail.keep_account(hub.state, mail.read_account(f"smtp+plain://127.0.0.1:{port}?from=hub@example.com"))
        minute(minutes=5)
        assert len(box.got) == 1


def test_the_account_is_kept_by_the_command(tmp_path, monkeypatch, capsys):
    from edgewright.cli import main

    monkeypatch.setenv("EDGEWRIGHT_MAIL_PASSWORD", "the password")
    url = "smtps://hub@mail.example.com?from=hub@example.com"
    assert main(["hub", "--data", str(tmp_path / "hub"), "--mail", url]) == 0
    assert "mailed from hub@example.com by mail.example.com:465" in capsys.readouterr().out
    with open_state(tmp_path / "hub") as state:
        assert mail.account_of(state) == mail.read_account(url, "the password")
    assert main(["hub", "--data", str(tmp_path / "hub"), "--mail", "http://x"]) == 2


def test_a_mail_test_takes_somebody_to_write_to(hub):
    hub.north.ask("POST", "/api/edge/alerts/mail/test", 409)


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail.example.com", "smtp://mail.example.com?from=nobody", "smtp+plain://mail.example.com?from=a@b.example",
        "http://mail.example.com?from=a@b.example", "smtps://?from=a@b.example", "smtps://h?from=a@b.example&x=1",
        "smtps://u:p@h?from=a@b.example", "smtps://h:x?from=a@b.example",
    ],
)  # fmt: skip
def test_mail_accounts_that_cannot_be(url):
    with pytest.raises(InputError):
        mail.read_account(url)


def test_a_letter_keeps_to_its_headers():
    """What devices and people wrote does not add headers; many alerts make one bounded letter."""
    account = mail.Account("localhost", 25, "none", "hub@example.com")
    data = {"told": "x\r\nBcc: eve@example.com", "severity": "info"}
    body = json.loads(outbox.message("alert.raised", data, datetime.now(UTC)))
    with pytest.raises(ValueError, match=r"linefeed|newline"):
        mail.letter(account, ["a@example.com"], [("1", body)], datetime.now(UTC))
    body["data"]["told"] = "device"
    letter = mail.letter(account, ["a@example.com"], [(str(i), body) for i in range(5000)], datetime.now(UTC))
    assert len(letter.as_bytes()) < 20_000 and "and 4950 more" in letter.get_content()


def test_old_messages_are_removed(hub, clock, minute, receiver):
    make(hub.north, receiver.url)
    minute()
    old = clock() - timedelta(days=8)
    with hub.state.database.write(hub.tenants["north"]) as session:
        for state in ("delivered", "waiting"):
            session.add(
                Delivery(id=new_id("dlv", int(old.timestamp() * 1000)), channel="whk_gone", alert="", event="test",
                         body="{}", state=state, tries=1, made=old, due=clock() + timedelta(days=1))
            )  # fmt: skip
    minute()
    states = sorted(one["state"] for one in hub.north.get("/api/edge/alerts/deliveries")["items"])
    assert states == ["delivered", "waiting"]
