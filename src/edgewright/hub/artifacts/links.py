"""Links: addresses of a download that hold until a moment, without a credential.

The key in one is ``TENANT.MAC``; the MAC (HMAC-SHA256, under a key that the hub's safe derives for this alone) binds
tenant, artifact and moment, so that a link opens nothing else and no longer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from edgewright.hub.errors import Forbidden
from edgewright.hub.ids import is_id
from edgewright.hub.state import State

_PURPOSE = "links of artifacts"


def link_key(state: State, tenant: str, artifact: str, until: int) -> str:
    """The key of a link that holds until ``until`` (Unix time, s)."""
    mac = hmac.digest(state.safe.derive(_PURPOSE), f"{tenant}/{artifact}/{until}".encode(), hashlib.sha256)
    return f"{tenant[4:]}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def check_link(state: State, artifact: str, until: int, key: str) -> str:
    """The tenant whose artifact it is. Raises Forbidden, in the same words whatever is wrong with it."""
    tenant = f"ten_{key.partition('.')[0]}"
    right = is_id(tenant, "ten") and hmac.compare_digest(
        link_key(state, tenant, artifact, until).encode(), key.encode(errors="replace")
    )
    if not right or until <= state.clock().timestamp():
        raise Forbidden("this link does not hold: it expired, or is not whole; ask whoever sent it for a new one")
    return tenant


def link_end(wanted: datetime, kept: datetime) -> int:
    """When a link ends, in whole seconds: when it is wanted to, and no later than the artifact."""
    return int(min(wanted, kept).timestamp())


def moment(until: int) -> datetime:
    """The same in UTC."""
    return datetime.fromtimestamp(until, UTC)
