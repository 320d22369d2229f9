"""Coming in: a device's first message, and the certificate it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from edgewright.core.messages.reading import Reader, text

PEM = 8 * 2**10
"""Characters of a CSR or of one certificate in PEM (RFC 7468)."""
MOST_ANCHORS = 8


@dataclass(frozen=True)
class Facts:
    """What a device says of itself. ``agent``: its release; ``target``: name of the device class; ``labels``: a few
    free ones, for groups and strata; ``engines``: installed release by name."""

    agent: str = ""
    target: str = ""
    machine: str = ""
    system: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    engines: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The facts of a JSON value. Raises ValueError."""
        return cls._read(Reader(value, "the facts"))

    @classmethod
    def _read(cls, r: Reader) -> Self:
        return cls(
            agent=r.string("agent", 64, ""),
            target=r.string("target", 64, ""),
            machine=r.string("machine", 256, ""),
            system=r.string("system", 256, ""),
            cpus=r.count("cpus", 0, 2**16),
            memory_bytes=r.count("memory_bytes", 0),
            storage_bytes=r.count("storage_bytes", 0),
            engines=r.table("engines", 16, text),
            labels=r.table("labels", 32, text),
        )


@dataclass(frozen=True)
class Enrol:
    """``csr``: PKCS #10 in PEM, with the device's own key. ``token``: the one-time token; "" for a key whose digest was
    authorised before. ``name``: the wish for a device's name; the hub may choose another."""

    csr: str
    token: str = ""
    name: str = ""
    facts: Facts = field(default_factory=Facts)

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {"csr": self.csr, "token": self.token, "name": self.name, "facts": self.facts.to_json()}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        r = Reader(value, "the message")
        facts = r.inner("facts", Facts._read, Facts())
        return cls(r.string("csr", PEM), r.string("token", 512, ""), r.word("name", ""), facts)


@dataclass(frozen=True)
class Renew:
    """A CSR for a device that shows its certificate in the handshake."""

    csr: str

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        return cls(Reader(value, "the message").string("csr", PEM))


@dataclass(frozen=True)
class Enrolled:
    """The answer to both. ``certificate``: the device's, then the issuing one's, in PEM; ``anchors``: roots of the
    hub's CA, in PEM; ``root``: the first TUF root metadata to trust, as text ("" for a renewal)."""

    tenant: str
    device: str
    certificate: str
    anchors: tuple[str, ...]
    root: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {**asdict(self), "anchors": list(self.anchors)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The message of a JSON value. Raises ValueError."""
        r = Reader(value, "the message")
        return cls(
            tenant=r.word("tenant"),
            device=r.word("device"),
            certificate=r.string("certificate", 4 * PEM),
            anchors=r.strings("anchors", MOST_ANCHORS, PEM),
            root=r.string("root", 64 * 2**10, ""),
        )
