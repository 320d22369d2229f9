"""Heads of audit logs, signed with the hub's key and laid where a thief of the database does not write.

A head is two files: ``NUMBER.head``, canonical JSON, and ``NUMBER.head.sig``, a detached signature as bundles have it.
Copy the folder away regularly (or mount it from elsewhere): what was exported cannot be made unsaid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from edgewright.core.digests import canonical_json
from edgewright.core.errors import InputError, TrustError
from edgewright.core.files import read_file, write_file
from edgewright.core.strict import parse_json
from edgewright.hub.accounts.audit import spell
from edgewright.hub.accounts.chain import Mark
from edgewright.hub.accounts.tables import Head
from edgewright.hub.database import EVERY, Database, Scoped
from edgewright.trust import PublicKey, SigningKey, sign, verify

KIND = "application/vnd.edgewright.audit-head+json"
_LIMIT = 4096


def signed_head(session: Scoped, key: SigningKey, at: datetime) -> tuple[bytes, bytes]:
    """The head of the session's tenant as it is now, and the signature over it."""
    head = session.find(Head)
    data = canonical_json(asdict(Mark(session.tenant, head.number, head.digest, spell(at))))
    return data, sign(data, KIND, key)


def export_heads(database: Database, folder: Path, key: SigningKey, at: datetime) -> int:
    """Write the head of every log that grew since its last one; how many that were. Raises StorageError."""
    with database.read(EVERY) as session:
        moved = [
            tenant for tenant, number in session.execute(select(Head.tenant, Head.number))
            if number and not _path(folder / tenant, number).with_suffix(".head.sig").exists()
        ]  # fmt: skip
    for tenant in moved:
        with database.read(tenant) as session:
            data, signature = signed_head(session, key, at)
        path = _path(folder / tenant, parse_head(data).number)
        write_file(path, data)
        write_file(path.with_suffix(".head.sig"), signature)  # last: without it there is no head
    return len(moved)


def read_heads(folder: Path, trusted: Iterable[PublicKey]) -> list[Mark]:
    """Every head in the folder whose signature holds. Raises TrustError for one whose does not, InputError without
    any."""
    keys, marks = list(trusted), []
    for path in sorted(folder.glob("*.head")):
        data = read_file(path, _LIMIT)
        try:
            verify(data, read_file(path.with_suffix(".head.sig"), _LIMIT), KIND, keys)
        except TrustError as error:
            raise TrustError(f"{path.name}: {error}") from error
        marks.append(parse_head(data))
    if not marks:
        raise InputError(f"there are no signed heads in {folder}; give the folder with the .head files of one tenant")
    return marks


def parse_head(data: bytes) -> Mark:
    """A head's bytes. Raises TrustError."""
    try:
        value = parse_json(data, _LIMIT)
        mark = Mark(**value)
    except (ValueError, TypeError) as error:
        raise TrustError(f"this is no head of an audit log: {error}") from error
    if type(mark.number) is not int or not all(type(v) is str for v in (mark.tenant, mark.digest, mark.at)):
        raise TrustError("this is no head of an audit log: a field is of another type")
    return mark


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:012d}.head"
