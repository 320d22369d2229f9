"""What the database itself holds, for migrations: row-level security, and tables that only grow."""

from __future__ import annotations

from alembic import op

_SETTING = "current_setting('edgewright.tenant', true)"


def protect(table: str, column: str = "tenant") -> None:
    """PostgreSQL shows and takes only rows of the transaction's tenant, the table's owner included (a superuser is not
    held by it: the hub wants a role of its own). SQLite has nothing like it."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING ({_SETTING} IN ({column}, '*'))")


def keep_own(table: str) -> None:
    """PostgreSQL shows the rows of a ``HubRow`` to every transaction; the hub's housekeeping alone writes them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY seen ON {table} FOR SELECT USING ({_SETTING} <> '')")
        op.execute(f"CREATE POLICY written ON {table} USING ({_SETTING} = '*')")


def only_grows(table: str) -> None:
    """No row of the table is changed or removed, by any statement."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {table}_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{table} only grows'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_only_grows()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
        )
