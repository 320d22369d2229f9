"""The hub's tables: one code for SQLite and PostgreSQL, every query inside one tenant.

What a slice does::

    class Device(Base, TenantRow):            # the column `tenant` comes with it and is part of the primary key
        __tablename__ = "devices"
        id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("dev"))

    with database.read(tenant) as session:    # one reading transaction
        session.scalars(select(Device))       # that tenant's rows and no others
        session.find(Device, identity)        # one row, or Absent
    with database.write(tenant) as session:   # one writing transaction: committed at the end, rolled back on an error
        session.add(Device())                 # stamped with the tenant

``database.read(EVERY)`` and ``write(EVERY)`` are for the hub's own housekeeping over all tenants (rows are then added
with their tenant given); no request gets one. Statements that are not of the ORM are refused inside a tenant
(``Unscoped``): they could not be bound to it. A SELECT that is run often is bound once (``bound``) and run with
``session.rows``, which takes a third of the time; where it is the only one, with ``database.look(tenant).rows``, which
needs no transaction. A slice's migration lies in
``database/migrations/versions/SLICE_NNNN.py``, with the branch label of the slice in its first one, and calls
``guards.protect(table)`` for each table of a ``TenantRow``: row-level security holds on PostgreSQL what the ORM
holds on both. Every unique constraint of a TenantRow begins with its tenant. A ``HubRow`` is the hub's own: all may
read it, only its housekeeping writes it (``guards.keep_own``).
"""

from __future__ import annotations

from edgewright.hub.database.engines import read_document
from edgewright.hub.database.faults import no_room, told
from edgewright.hub.database.looks import Look, Rows
from edgewright.hub.database.rows import EVERY, Base, Document, HubRow, Instant, TenantItself, TenantRow
from edgewright.hub.database.scoping import Bound, bound
from edgewright.hub.database.sessions import Database, Scoped

__all__ = [
    "EVERY", "Base", "Bound", "Database", "Document", "HubRow", "Instant", "Look", "Rows", "Scoped",
    "TenantItself", "TenantRow", "bound", "no_room", "read_document", "told",
]  # fmt: skip
