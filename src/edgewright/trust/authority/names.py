"""Who a device is: one URI, ``edgewright:TENANT/DEVICE``, and no other name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgewright.core.errors import InputError

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SCHEME = "edgewright:"


@dataclass(frozen=True, order=True)
class Identity:
    """``tenant`` and ``device``: 1 to 64 letters, digits, '.', '_' or '-' each. Raises InputError."""

    tenant: str
    device: str

    def __post_init__(self) -> None:
        for what, word in (("tenant", self.tenant), ("device", self.device)):
            if not _WORD.fullmatch(word):
                raise InputError(f"the {what} {word[:80]!r} must be 1 to 64 letters, digits, '.', '_' or '-'")

    @property
    def uri(self) -> str:
        """The only name in a device's certificate."""
        return f"{_SCHEME}{self.tenant}/{self.device}"

    @classmethod
    def parse(cls, uri: str) -> Identity:
        """The identity a URI spells. Raises InputError."""
        tenant, slash, device = uri.removeprefix(_SCHEME).partition("/")
        if not uri.startswith(_SCHEME) or not slash:
            raise InputError(f"{uri[:80]!r} is no device of Edgewright; it would read {_SCHEME}TENANT/DEVICE")
        return cls(tenant, device)
