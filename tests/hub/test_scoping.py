"""No statement reads, changes or makes a row of another tenant, in whatever shape it is written."""

import threading

import pytest
from sqlalchemy import delete, exists, func, insert, select, text, union_all, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.accounts.tables import Head, Tenant, Token, User
from edgewright.hub.database import EVERY, Base, HubRow, TenantItself, TenantRow
from edgewright.hub.errors import Absent, Unscoped
from edgewright.hub.tables import METADATA


@pytest.fixture
def tenants(state):
    return [make_tenant(state, name, f"owner-{name}")[0] for name in ("north", "south")]


OTHER = aliased(User)
READS = {
    "entities": lambda: select(User.name),
    "whole rows": lambda: select(User).with_only_columns(User.name),
    "alias": lambda: select(OTHER.name),
    "subquery": lambda: select(select(User.name).subquery().c.name),
    "scalar subquery": lambda: select(select(User.name).limit(1).scalar_subquery()),
    "common table expression": lambda: select(select(User.name).cte().c.name),
    "aliased subquery": lambda: select(aliased(User, select(User).subquery()).name),
    "join": lambda: select(User.name).join(OTHER, OTHER.id != "").where(OTHER.tenant != ""),
    "joined column": lambda: select(OTHER.name).select_from(Head).join(OTHER, OTHER.id != ""),
    "outer join": lambda: select(OTHER.name).select_from(User).outerjoin(OTHER, OTHER.id != ""),
    "exists": lambda: select(Tenant.name).where(exists(select(User.id).where(User.name.like("%south")))),
    "in": lambda: select(Tenant.name).where(Tenant.id.in_(select(User.tenant))),
    "union": lambda: select(User.name).where(union_all(select(User.id), select(Token.id)).exists()),
    "group": lambda: select(func.max(User.name)).group_by(User.active),
    "tenants": lambda: select(Tenant.name),
    "said otherwise": lambda: select(User.name).where(User.tenant != ""),
}


@pytest.mark.parametrize("shape", READS)
def test_a_read_sees_its_tenant_alone(state, tenants, shape):
    # Each twice and in turns: a statement is compiled once, and its tenant must not be compiled into it.
    for _ in range(2):
        for tenant, own, other in ((tenants[0], "north", "south"), (tenants[1], "south", "north")):
            with state.database.read(tenant) as session:
                found = [str(name) for name in session.scalars(READS[shape]()).all()]
            assert not any(other in name for name in found)
            assert any(own in name for name in found) or shape == "exists"


def test_counts_are_of_one_tenant(state, tenants):
    with state.database.read(tenants[0]) as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1
        assert session.scalar(select(func.count(User.id))) == 1
    with state.database.read(EVERY) as session:
        assert session.scalar(select(func.count(User.id))) == 2


def names(state):
    with state.database.read(EVERY) as session:
        return sorted(session.scalars(select(User.shown)))


CHANGES = {
    "update": lambda: update(User).values(shown="changed"),
    "update where": lambda: update(User).where(User.tenant != "").values(shown="changed"),
    "update by subquery": lambda: update(User).where(User.id.in_(select(OTHER.id))).values(shown="changed"),
    "update from": lambda: (
        update(User).where(exists(select(OTHER.id).where(OTHER.shown.like("%south")))).values(shown="!")
    ),
    "delete": lambda: delete(User),
    "delete where": lambda: delete(User).where(User.name.like("%")),
}


@pytest.mark.parametrize("shape", CHANGES)
def test_a_change_leaves_other_tenants_alone(state, tenants, shape):
    with state.database.write(tenants[0]) as session:
        session.execute(CHANGES[shape](), execution_options={"synchronize_session": False})
    assert "owner-south" in names(state)
    assert (shape == "update from") == ("owner-north" in names(state))


def new(**more):
    return {"name": "new", "shown": "new", "roles": [], "active": True, "failures": 0} | more


def test_what_is_made_belongs_to_the_tenant(state, tenants, clock):
    with state.database.write(tenants[0]) as session:
        session.add(User(made=clock(), **new(name="one")))
        session.execute(insert(User), [new(id="a", name="two", made=clock()), new(id="b", name="three", made=clock())])
        session.execute(insert(User).values(**new(id="c", name="four", made=clock())))
    with state.database.read(tenants[0]) as session:
        assert session.scalar(select(func.count(User.id))) == 5


MAKES = {
    "row": lambda session, row: session.add(User(**row)),
    "rows": lambda session, row: session.execute(insert(User), [row]),
    "values": lambda session, row: session.execute(insert(User).values(**row)),
    "many values": lambda session, row: session.execute(insert(User).values([row, row | {"id": "other"}])),
    "from a select": lambda session, row: session.execute(
        insert(User).from_select(["tenant", "id"], select(Head.tenant, Head.digest))
    ),
    "merged": lambda session, row: session.merge(User(**row)),
}


@pytest.mark.parametrize("shape", MAKES)
def test_nothing_is_made_in_another_tenant(state, tenants, clock, shape):
    row = new(id="a", tenant=tenants[1], made=clock())
    with pytest.raises(Unscoped), state.database.write(tenants[0]) as session:
        MAKES[shape](session, row)
    assert names(state) == ["owner-north", "owner-south"]


def test_a_row_does_not_move_and_a_tenant_makes_no_other(state, tenants, clock):
    with pytest.raises(Unscoped), state.database.write(tenants[0]) as session:
        session.scalars(select(User)).one().tenant = tenants[1]
    with pytest.raises(Unscoped), state.database.write(tenants[0]) as session:
        session.add(Tenant(id="ten_other", name="other", development=False, made=clock()))
    with state.database.read(tenants[1]) as session:
        theirs = session.scalars(select(User)).one()
    with pytest.raises(Unscoped), state.database.write(tenants[0]) as session:
        session.delete(theirs)


@pytest.mark.parametrize("key", ["tenant", User.tenant], ids=["by name", "by column"])
def test_an_update_does_not_move_rows(state, tenants, key):
    with pytest.raises(Unscoped), state.database.write(tenants[0]) as session:
        session.execute(update(User).values({key: tenants[1]}))
    with pytest.raises(Unscoped), state.database.write(tenants[0]) as session:
        session.execute(update(User).ordered_values((key, tenants[1])))


def test_an_id_of_another_tenant_is_absent_like_one_that_never_was(state, tenants):
    with state.database.read(tenants[1]) as session:
        theirs = session.scalars(select(User.id)).one()
    told = set()
    for key in (theirs, "usr_never"):
        with state.database.read(tenants[0]) as session, pytest.raises(Absent) as error:
            session.find(User, key)
        told.add(str(error.value).replace(key, "ID"))
        with state.database.read(tenants[0]) as session:
            assert session.get(User, (tenants[1], theirs)) is None
    assert len(told) == 1


@pytest.mark.parametrize(
    "statement",
    [text("SELECT * FROM users"), select(User.__table__.c.name), User.__table__.select(), User.__table__.delete()],
    ids=["text", "column", "table", "delete"],
)
def test_statements_beside_the_orm_are_refused(state, tenants, statement):
    with pytest.raises(Unscoped), state.database.write(tenants[0]) as session:
        session.execute(statement)
    assert len(names(state)) == 2


def test_there_is_no_way_around(state, tenants):
    with state.database.read(tenants[0]) as session, pytest.raises(Unscoped):
        session.connection()
    for open_ in (state.database.read, state.database.write):
        with pytest.raises(Unscoped), open_(""):
            pass


def test_a_reading_transaction_writes_nothing(state, tenants):
    with pytest.raises(DBAPIError), state.database.read(tenants[0]) as session:
        session.execute(update(User).values(shown="changed"))
    assert names(state) == ["owner-north", "owner-south"]


def test_row_level_security_holds_without_the_orm(state, tenants):
    if state.database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no row-level security")
    with state.database.engine.begin() as connection:
        for table in METADATA.tables:
            assert connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one() == 0, table
    with state.database.engine.execution_options(edgewright_tenant=tenants[0]).begin() as connection:
        assert connection.execute(text("SELECT name FROM users")).scalars().all() == ["owner-north"]
        assert connection.execute(text("UPDATE users SET shown = 'changed'")).rowcount == 1
        assert connection.execute(text("DELETE FROM users WHERE name = 'owner-south'")).rowcount == 0
    with (
        pytest.raises(DBAPIError),
        state.database.engine.execution_options(edgewright_tenant=tenants[0]).begin() as connection,
    ):
        connection.execute(text(f"INSERT INTO audit_heads VALUES ('{tenants[1]}x', 0, '')"))


def test_every_table_belongs_to_a_tenant_or_is_the_tenants():
    kinds = [mapper.class_ for mapper in Base.registry.mappers]
    assert {kind.__tablename__ for kind in kinds} == set(METADATA.tables)
    assert [k.__tablename__ for k in kinds if not issubclass(k, TenantRow | HubRow)] == ["tenants"]
    assert [k.__tablename__ for k in kinds if issubclass(k, HubRow)] == ["job_workers"]
    assert issubclass(Tenant, TenantItself)


def test_keys_begin_with_the_tenant():
    from sqlalchemy import ForeignKeyConstraint, UniqueConstraint

    for table in METADATA.tables.values():
        if table.name in ("tenants", "job_workers"):
            continue
        assert next(iter(table.primary_key.columns)).name == "tenant", table
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint | ForeignKeyConstraint):
                assert next(iter(constraint.columns)).name == "tenant", (table, constraint)
        for index in table.indexes:
            assert not index.unique or next(iter(index.columns)).name == "tenant", index


def test_writers_take_turns(state, tenants):
    """Two that read and then write at once do not lose an update, nor fail for it."""

    def count():
        for _ in range(10):
            with state.database.write(tenants[0]) as session:
                user = session.lock(User, session.scalars(select(User.id)).one())
                user.failures += 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with state.database.read(tenants[0]) as session:
        assert session.scalars(select(User.failures)).one() == 40
