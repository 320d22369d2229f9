"""The one place where statements are bound to their tenant, and rows stamped with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, Dialect, Select, String, bindparam
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, with_loader_criteria
from sqlalchemy.orm.attributes import get_history
from sqlalchemy.sql.base import ExecutableOption

from edgewright.hub.database.rows import EVERY, HubRow, TenantItself, TenantRow
from edgewright.hub.errors import Unscoped

_BOUND = "bound_tenant"
_THERE = bindparam(_BOUND, type_=String())
Plain = tuple[str, Callable[[Mapping[str, Any]], Any]]
"""A statement in a driver's own words, and what makes its parameters of a mapping."""


@dataclass(frozen=True)
class Bound:
    """A SELECT that was bound to whichever tenant asks before it was ever run, and need not be looked at in each run:
    ``Scoped.rows`` runs it. Made by ``bound`` alone."""

    statement: Select[*tuple[Any, ...]]
    hub: bool

    @cached_property
    def plain(self) -> Plain | None:
        """It for SQLite's driver."""
        return self._written(sqlite.dialect())

    @cached_property
    def named(self) -> Plain | None:
        """It for PostgreSQL's driver."""
        return self._written(psycopg.dialect())  # type: ignore[no-untyped-call]

    def _written(self, dialect: Dialect) -> Plain | None:
        """None where values become something else on their way there or back."""
        made: Any = self.statement.compile(dialect=dialect)
        kinds = [one.type for one in self.statement.selected_columns]
        back = [isinstance(kind, JSON) or kind.result_processor(dialect, None) for kind in kinds]
        if any(back) or made._bind_processors or made._post_compile_expanded_state:
            return None
        own, names = made.params, made.positiontup
        if names is None:
            return str(made), lambda given: {**own, **given}
        if len(names) < 2:
            return None
        places = itemgetter(*names)
        return str(made), lambda given: places({**own, **given})


def bound(statement: Select[*tuple[Any, ...]]) -> Bound:
    """A SELECT of columns, for a tenant to be named later. Raises Unscoped for one that cannot be bound to it."""
    made = statement.options(
        with_loader_criteria(TenantRow, lambda kind: kind.tenant == _THERE, include_aliases=True),
        with_loader_criteria(TenantItself, lambda kind: kind.id == _THERE, include_aliases=True),
    )
    kinds = {entity.get("entity") for entity in statement.column_descriptions} - {None}
    hub = bool(kinds) and all(isinstance(kind, type) and issubclass(kind, HubRow) for kind in kinds)
    if not hub and _BOUND not in made.compile().params:
        raise Unscoped("this statement has no rows of a tenant's; write it with the mapped classes")
    return Bound(made, hub)


def values(one: Bound, tenant: str) -> dict[str, str]:
    """What binds it to ``tenant``. Raises Unscoped for all of them."""
    if tenant == EVERY:
        raise Unscoped("such a statement is for one tenant")
    return {} if one.hub else {_BOUND: tenant}


def scope(state: ORMExecuteState) -> None:
    """Before any statement: only the tenant's rows. Raises Unscoped for a statement that cannot be bound to it."""
    tenant: str = state.session.info["tenant"]
    if tenant == EVERY:
        return
    if not state.is_orm_statement:
        raise Unscoped(
            "a statement that is not of the ORM cannot be bound to a tenant; write it with the mapped classes"
        )
    if not state.is_select and any(issubclass(mapper.class_, HubRow) for mapper in state.all_mappers):
        raise Unscoped("a tenant's session writes no row of the hub's own")
    if state.is_insert:
        _check_insert(state, tenant)
        return
    if state.is_update:
        _check_values(state, tenant)
    if not state.is_column_load:  # that is the rest of a row that was found in this session
        state.statement = state.statement.options(*_criteria(tenant))


@lru_cache(1024)
def _criteria(tenant: str) -> tuple[ExecutableOption, ExecutableOption]:
    return (
        with_loader_criteria(TenantRow, lambda kind: kind.tenant == tenant, include_aliases=True),
        with_loader_criteria(TenantItself, lambda kind: kind.id == tenant, include_aliases=True),
    )


def stamp(session: Session, _: UOWTransaction, __: Any) -> None:
    """Before any flush: new rows get the tenant; a row of another one raises Unscoped, before anything is written."""
    tenant: str = session.info["tenant"]
    if tenant != EVERY and any(isinstance(row, HubRow) for row in (*session.new, *session.dirty, *session.deleted)):
        raise Unscoped("a tenant's session writes no row of the hub's own")
    for row in session.new:
        if isinstance(row, TenantRow):
            if getattr(row, "tenant", None) is None and tenant != EVERY:
                row.tenant = tenant
            _check(row.tenant, tenant)
        elif isinstance(row, TenantItself):
            _check(row.id, tenant)
    for row in (*session.dirty, *session.deleted):
        if isinstance(row, TenantRow):
            _check(row.tenant, tenant)
            if get_history(row, "tenant").has_changes():
                raise Unscoped("a row does not move to another tenant")


def _check(named: str | None, tenant: str) -> None:
    if named is None or (tenant != EVERY and named != tenant):
        raise Unscoped("a row of another tenant was to be written")


def _check_insert(state: ORMExecuteState, tenant: str) -> None:
    """An INSERT names no other tenant; the column's default names this one."""
    statement: Any = state.statement
    if statement.select is not None:
        raise Unscoped("INSERT ... SELECT cannot be bound to a tenant; read, then write")
    _check_values(state, tenant, [row for rows in statement._multi_values for row in rows])


def _check_values(state: ORMExecuteState, tenant: str, given: Iterable[Any] = ()) -> None:
    """No value that is written is another tenant's id in the tenant's column."""
    statement: Any = state.statement
    parameters = [state.parameters] if isinstance(state.parameters, dict) else list(state.parameters or ())
    for row in (*given, *parameters, statement._values or {}, dict(getattr(statement, "_ordered_values", None) or ())):
        if not hasattr(row, "items"):
            raise Unscoped("a statement gives its values by name")
        for name, value in row.items():
            if getattr(name, "key", name) == "tenant":
                _check(getattr(value, "value", value), tenant)
