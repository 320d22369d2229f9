"""Mail to a real SMTP server."""

import contextlib
import json
import ssl
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as policy

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from alerts_receivers import certificate, tried

from edgewright.core.errors import InputError
from edgewright.hub.alerts import mail
from edgewright.hub.fleet.tables import Device
from edgewright.hub.outgoing import message
from edgewright.hub.state import open_state


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
    body = json.loads(message("alert.raised", data, datetime.now(UTC)))
    with pytest.raises(ValueError, match=r"linefeed|newline"):
        mail.letter(account, ["a@example.com"], [("1", body)], datetime.now(UTC))
    body["data"]["told"] = "device"
    letter = mail.letter(account, ["a@example.com"], [(str(i), body) for i in range(5000)], datetime.now(UTC))
    assert len(letter.as_bytes()) < 20_000 and "and 4950 more" in letter.get_content()
