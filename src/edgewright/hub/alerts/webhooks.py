"""Webhooks: a message posted to a tenant's own server, signed (Standard Webhooks 1.0: ``webhook-id``,
``webhook-timestamp``, ``webhook-signature``), and never to a machine that the tenant has no business with.

A name is looked up once, every address it has is checked, and the connection goes to the address that was checked (a
name that changes its address meanwhile reaches nothing else). No redirect is followed, no proxy of the environment
used, nothing of the answer but its status is read.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

import httpx2

from edgewright.core.errors import InputError
from edgewright.hub.alerts.outbox import Outcome

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
TRY_S = 10.0
"""A whole try takes no longer, however slowly the other side answers."""
_PREFIX = "whsec_"
_PRIVATE = tuple(map(ipaddress.ip_network, (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7",
)))  # fmt: skip
_NEVER = (ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("fd20:ce::254"))  # clouds' own metadata
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Hook:
    """Where to post: ``secret`` as its owner was shown it; ``private``: its address may be a private one."""

    url: str
    secret: str
    private: bool


def new_secret() -> str:
    """A secret of 192 bits as the standard spells them."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def sign(secret: str, id_: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of a message: HMAC-SHA256 over id, Unix time and body. A receiver refuses what is older than some
    minutes, and an id that it knows."""
    moment = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    made = hmac.new(key, f"{id_}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id_, "webhook-timestamp": moment, "webhook-signature": f"v1,{base64.b64encode(made).decode()}"
    }  # fmt: skip


def check_url(url: str, private: bool) -> str:
    """The URL of a webhook: https, or http on the hub's own machine where ``private``. Raises InputError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL) as error:
        raise InputError("that is no URL") from error
    here = parts.scheme == "http" and private and host in ("127.0.0.1", "::1", "localhost")
    unfit = not host or parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable()
    if unfit or " " in url or "\\" in url or not (parts.scheme == "https" or here):
        raise InputError("a webhook is reached by https://HOST/..., without a user or a fragment in it")
    try:
        literal = ipaddress.ip_address(host or "")
    except ValueError:
        return url
    if not allowed(literal, private):
        raise InputError(
            f"{literal} is no public address; private ones take whoever runs the hub: edgewright hub --private-webhooks"
        )
    return url


def allowed(address: Address, private: bool) -> bool:
    """Whether the hub may speak with it: a public address, or where ``private`` one of RFC 1918, RFC 4193 or this
    machine. Never link-local ones (there clouds keep their machines' credentials), multicast and the like."""
    plain = _plain(address)
    if plain in _NEVER:
        return False
    if any(plain in network for network in _PRIVATE if network.version == plain.version):
        return private
    site = isinstance(plain, ipaddress.IPv6Address) and plain.is_site_local
    return plain.is_global and not plain.is_multicast and not plain.is_reserved and not site


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


async def look_up(host: str, port: int, private: bool) -> list[Address]:
    """Every address of a name, all of which are allowed. Raises InputError, OSError."""
    told = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = list(dict.fromkeys(ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in told))
    if not found or not all(allowed(one, private) for one in found):
        raise InputError(
            f"{host} has an address that is not public; "
            "private ones take whoever runs the hub: edgewright hub --private-webhooks"
        )
    return found


def client() -> httpx2.AsyncClient:
    """What posts; certificates are checked against the machine's own store (``SSL_CERT_FILE`` names another one)."""
    return httpx2.AsyncClient(
        verify=ssl.create_default_context(), timeout=TRY_S, follow_redirects=False, trust_env=False,
        limits=httpx2.Limits(max_keepalive_connections=0),
    )  # fmt: skip


async def post(asking: httpx2.AsyncClient, hook: Hook, id_: str, body: bytes, at: datetime) -> Outcome:
    """One try."""
    outcome = await _post(asking, hook, id_, body, at)
    return _quietly(outcome) if hook.private else outcome


async def _post(asking: httpx2.AsyncClient, hook: Hook, id_: str, body: bytes, at: datetime) -> Outcome:
    headers = {"Content-Type": "application/json", "User-Agent": "edgewright"} | sign(hook.secret, id_, at, body)
    try:
        async with asyncio.timeout(TRY_S):
            url = httpx2.URL(check_url(hook.url, hook.private))
            places = await look_up(url.host, url.port or (443 if url.scheme == "https" else 80), hook.private)
            status = await _ask(asking, url, places[:2], body, headers)
    except InputError as error:
        return Outcome(False, str(error))
    except TimeoutError:
        return Outcome(False, f"no answer within {TRY_S:.0f} s")
    except (httpx2.HTTPError, OSError, UnicodeError) as error:
        return Outcome(False, f"it cannot be reached: {type(error).__name__}")
    return Outcome(200 <= status < 300, f"status {status}", final=status == 410)


def _quietly(outcome: Outcome) -> Outcome:
    """Of the hub's own network a tenant learns that a message was delivered, or that it was not: nothing that tells
    what listens there."""
    return outcome if outcome.delivered else replace(outcome, told="it was not taken there (the address is private)")


async def _ask(
    asking: httpx2.AsyncClient, url: httpx2.URL, places: Sequence[Address], body: bytes, headers: Mapping[str, str]
) -> int:
    """The status of the answer, from the first of these addresses that takes a connection."""
    for number, place in enumerate(places, 1):
        there = url.copy_with(host=str(place))
        named = {**headers, "Host": url.netloc.decode()}
        try:
            async with asking.stream(
                "POST", there, content=body, headers=named, extensions={"sni_hostname": url.raw_host.decode()}
            ) as answer:
                return answer.status_code
        except httpx2.ConnectError:
            if number == len(places):
                raise
    raise OSError("no address")
