"""A hub's folder that lost something: refused, with nothing made in its place."""

import shutil

import pytest

from edgewright.core.errors import StorageError
from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.soundness import check_authority
from edgewright.hub.state import open_state


@pytest.fixture
def folder(tmp_path):
    with open_state(tmp_path / "hub") as state:
        make_tenant(state, "north", "owner")
    return tmp_path / "hub"


@pytest.mark.parametrize("gone", ["hub.db", "keys", "keys/own.key", "keys/safe.key"])
def test_what_is_gone_is_named_and_not_made_anew(folder, gone):
    if (folder / gone).is_dir():
        shutil.rmtree(folder / gone)
    else:
        (folder / gone).unlink()
    for _ in range(2):
        with pytest.raises(StorageError, match="restore it from a backup"):
            open_state(folder)


def test_a_ca_that_devices_trust_is_not_made_anew(fleet):
    check_authority(fleet.state.folder, fleet.state.database.engine)
    fleet.device("a")
    shutil.move(fleet.state.folder / "authority", fleet.state.folder / "away")
    with pytest.raises(StorageError, match="devices trust, is gone"):
        check_authority(fleet.state.folder, fleet.state.database.engine)


@pytest.mark.parametrize("damage", [lambda d: b"no database" * 999, lambda d: d[:4096] + b"x" * (len(d) - 4096)])
def test_a_damaged_database_is_refused(folder, damage):
    path = folder / "hub.db"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StorageError, match="restore it from a backup"):
        open_state(folder)


def test_nobody_else_reads_it(folder):
    folder.chmod(0o755)
    (folder / "hub.db").chmod(0o644)
    with open_state(folder):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {one.stat().st_mode & 0o777 for one in folder.glob("hub.db*")} == {0o600}
