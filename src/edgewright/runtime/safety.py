"""Safety: who may ask, and over what: a certificate and tokens, as they lie in files that change."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.errors import InputError
from edgewright.runtime import logs
from edgewright.runtime.access import Access, Check
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import ServerTable
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.tokens import Tokens


@dataclass(frozen=True)
class Safety:
    """``certificate``: for addresses with TLS. ``tokens``: asked for at every TCP address."""

    certificate: Certificate | None = None
    tokens: Tokens | None = None

    @classmethod
    def of(cls, table: ServerTable) -> Safety:
        """What lies in the files that the table names. Raises InputError."""
        certificate = None
        if table.certificate is not None and table.key is not None:
            certificate = Certificate(table.certificate, table.key)
        return cls(certificate, None if table.tokens is None else Tokens(table.tokens))

    def secured(self, address: Address) -> Certificate | None:
        """What an address speaks TLS with, None where it does not. Raises InputError."""
        if address.tls and self.certificate is None:
            raise InputError(f"{address} needs a certificate and its key")
        return self.certificate if address.tls else None

    def check(self, address: Address, table: ServerTable) -> Check | None:
        """What is asked of each head at an address; None where nothing is."""
        if address.path is not None:
            return None  # who may use it is the file's mode
        here = address.host if address.local and self.tokens is None else ""
        return Access(self.tokens, here, table.hosts, table.origins).check

    def refresh(self, certificate: bool = False) -> bool:
        """Look at the tokens, and at the ``certificate``, too; whether the tokens are others now."""
        changed = False
        try:
            if self.tokens is not None and self.tokens.refresh():
                changed = True
                if self.tokens.empty:
                    logs.error("tokens", f"{self.tokens.empty}: nobody is let in until it holds some again")
                else:
                    logs.info("tokens", "read anew")
            if certificate and self.certificate is not None:
                self.certificate.reload()
                logs.info("tls", "the certificate was read anew")
        except InputError as error:
            logs.warning("refresh", f"{error}; what was there before still holds")
        return changed


def lacks(address: Address, table: ServerTable) -> str:
    """What an address that other machines can reach should have and has not, "" where it has it all."""
    if address.local:
        return ""
    needed = ("TLS (--tls-certificate, --tls-key)", table.certificate), ("tokens (--tokens)", table.tokens)
    return " and ".join(what for what, there in needed if there is None)


def demand(address: Address, table: ServerTable) -> None:
    """Raise InputError where an address lacks something: that has to be spelled out."""
    if lacking := lacks(address, table):
        raise InputError(
            f"{address.host} can be reached from other machines, which needs {lacking}; or listen on 127.0.0.1, or "
            "spell out --insecure"
        )
