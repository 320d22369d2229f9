"""Mail by SMTP (RFC 5321): the hub's own account at a server, and messages of several alerts in one.

The account lies in ``keys/mail.json`` in the hub's folder, its password sealed; ``edgewright hub --mail`` writes it.
"""

from __future__ import annotations

import ipaddress
import json
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from edgewright.core.digests import canonical_json, digest_bytes
from edgewright.core.errors import InputError
from edgewright.core.files import read_file, write_file
from edgewright.core.strict import parse_json
from edgewright.hub.alerts.outbox import Outcome
from edgewright.hub.alerts.rules import check_mail
from edgewright.hub.state import State

Security = Literal["tls", "starttls", "none"]
_SCHEMES: dict[str, tuple[Security, int]] = {
    "smtps": ("tls", 465),
    "smtp": ("starttls", 587),
    "smtp+plain": ("none", 25),
}
_TRY_S = 15.0
_LINES = 50


@dataclass(frozen=True)
class Account:
    """``security``: TLS from the start, STARTTLS (and nothing without it), or none on this machine. ``ca``: a file of
    certificates to trust, "" for the machine's own."""

    host: str
    port: int
    security: Security
    sender: str
    user: str = ""
    password: str = ""
    ca: str = ""


def read_account(url: str, password: str = "") -> Account:
    """``smtps://[USER@]HOST[:PORT]?from=ADDRESS[&ca=FILE]``, ``smtp://`` with STARTTLS, ``smtp+plain://`` on this
    machine. Raises InputError."""
    try:
        parts = urlsplit(url)
        host, port, query = parts.hostname, parts.port, parse_qs(parts.query, strict_parsing=True)
    except ValueError as error:
        raise InputError("that is no URL of a mail server; write smtps://USER@HOST?from=ADDRESS") from error
    if parts.scheme not in _SCHEMES or not host or set(query) - {"from", "ca"} or parts.password is not None:
        raise InputError(
            "a mail server is smtps://USER@HOST?from=ADDRESS (TLS), or smtp:// (STARTTLS); its password is read from "
            "the environment: EDGEWRIGHT_MAIL_PASSWORD"
        )
    security, usual = _SCHEMES[parts.scheme]
    if security == "none" and not _loopback(host):
        raise InputError(f"{host} is another machine, and mail to it would not be encrypted; write smtp:// or smtps://")
    (sender,) = check_mail(query.get("from", [""])[:1])
    return Account(
        host, port or usual, security, sender, unquote(parts.username or ""), password, query.get("ca", [""])[0]
    )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def keep_account(state: State, account: Account) -> None:
    """Write it down for all workers. Raises StorageError."""
    kept = asdict(replace(account, password=state.safe.seal(account.password, "mail")))
    write_file(_path(state), canonical_json(kept), mode=0o600)


def account_of(state: State) -> Account | None:
    """The hub's account, if it has one. Raises TrustError, InputError."""
    if not has_account(state):
        return None
    try:
        kept = Account(**parse_json(read_file(_path(state), 1 << 16), 1 << 16))
    except (ValueError, TypeError) as error:
        raise InputError(f"{_path(state)} cannot be read; write it anew: edgewright hub --mail") from error
    return replace(kept, password=state.safe.open(kept.password, "mail"))


def has_account(state: State) -> bool:
    """Whether the hub has one."""
    return _path(state).exists()


def _path(state: State) -> Path:
    return state.folder / "keys" / "mail.json"


def letter(
    account: Account, to: Sequence[str], messages: Sequence[tuple[str, dict[str, Any]]], at: datetime
) -> EmailMessage:
    """One mail of several messages (id and body as ``outgoing.message`` made it). The same ones have the same
    Message-ID, so that a mail server may know what it has seen."""
    lines = []
    for _, body in messages[:_LINES]:
        data = body["data"]
        word = {"alert.raised": data.get("severity", ""), "alert.resolved": "over"}.get(body["type"], body["type"])
        lines.append(f"{word}: {data['told']}")
    made = EmailMessage()
    more = "" if len(messages) == 1 else f" (and {len(messages) - 1} more)"
    made["Subject"] = f"[edgewright] {lines[0][:150]}{more}"
    made["From"], made["To"], made["Date"] = account.sender, ", ".join(to), format_datetime(at)
    ids = digest_bytes(" ".join(id_ for id_, _ in messages).encode())[:32]
    made["Message-ID"] = f"<{ids}@{account.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office note comes back
    if len(messages) > _LINES:
        lines.append(f"... and {len(messages) - _LINES} more")
    facts = [json.dumps(body["data"], ensure_ascii=False, sort_keys=True) for _, body in messages[:_LINES]]
    made.set_content("\n".join(lines) + "\n\n" + "\n".join(facts) + "\n")
    return made


def send(account: Account, made: EmailMessage) -> Outcome:
    """One try."""
    try:
        context = ssl.create_default_context(cafile=account.ca or None)
        with _open(account, context) as server:
            if account.security == "starttls":
                server.starttls(context=context)  # raises where the server does not offer it: nothing goes out in plain
            if account.user:
                server.login(account.user, account.password)
            refused = server.send_message(made)
    except smtplib.SMTPResponseException as error:
        return Outcome(False, f"the mail server refused with {error.smtp_code}")
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Outcome(False, f"mail cannot be sent: {type(error).__name__}")
    return Outcome(True, f"sent, but not to {', '.join(sorted(refused))}" if refused else "sent")


def _open(account: Account, context: ssl.SSLContext) -> smtplib.SMTP:
    if account.security == "tls":
        return smtplib.SMTP_SSL(account.host, account.port, timeout=_TRY_S, context=context)
    return smtplib.SMTP(account.host, account.port, timeout=_TRY_S)
