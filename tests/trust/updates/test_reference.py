"""Held against python-tuf's own client: on a disk that lost nothing, both believe the same, whatever is served."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from edgewright.core.errors import TrustError
from edgewright.testing.updates import Office
from edgewright.trust import SigningKey
from edgewright.trust.updates import OnlineKeys, begin, propose_release, refresh


def _history():
    """One fleet's life: what was served after each event, and when. And a stranger's files of the same names."""
    office = Office()
    states = [(office.now, dict(office.files))]

    def event(act, **span):
        office.wait(**span)
        act()
        states.append((office.now, dict(office.files)))

    event(lambda: office.release(b"one"), hours=1)
    event(lambda: office.publish(root=office.signed_root(office.keys())), hours=30)
    event(lambda: office.release(b"two", "2"), hours=1)

    def rotate_online():
        office.online = OnlineKeys(SigningKey.generate(), SigningKey.generate())
        office.publish(root=office.signed_root(office.keys()))

    event(rotate_online, hours=20)
    event(lambda: office.release(b"three", "3"), hours=1)

    def rotate_release():
        office.release_keys = [SigningKey.generate()]
        root = office.signed_root(office.keys())
        office.publish(root, office.signed(propose_release(office.repository.targets, office.now)))

    event(rotate_release, hours=60)
    event(lambda: office.release(b"four", "4"), hours=1)
    stranger = Office()
    stranger.release(b"evil")
    return states, stranger.files


STATES, STRANGER = _history()
ROOT = STATES[0][1]["1.root.json"]
SERVED = st.tuples(
    st.integers(0, len(STATES) - 1),  # when it is
    st.integers(0, len(STATES) - 1),  # whose timestamp is served
    st.sets(st.sampled_from(sorted(STATES[-1][1])), max_size=2),  # what is missing
    st.sets(st.sampled_from(sorted(set(STATES[-1][1]) & set(STRANGER))), max_size=1),  # what is a stranger's
    st.integers(0, 3),  # roots that are held back
)


class Fetcher(FetcherInterface):
    def __init__(self, files):
        self.files = files

    def _fetch(self, url):
        name = url.rpartition("/")[2]
        if name not in self.files:
            raise DownloadHTTPError("no such file", 404)
        return iter([self.files[name]])


def theirs(folder, files, now):
    try:
        updater = Updater(str(folder), "http://hub/", fetcher=Fetcher(files), bootstrap=ROOT)
        updater._trusted_set.reference_time = now
        updater.refresh()
    except (RepositoryError, DownloadError):
        return None
    return set(updater._trusted_set.targets.targets)


def ours(folder, files, now):
    def fetch(name, limit):
        if name not in files:
            raise FileNotFoundError(name)
        return files[name]

    try:
        return {release.path for release in refresh(folder, fetch, now)}
    except TrustError:
        return None


@settings(max_examples=150)
@given(st.lists(SERVED, min_size=1, max_size=5))
def test_both_believe_the_same(tmp_path_factory, script):
    mine, reference = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    begin(mine, ROOT)
    latest = STATES[0][0]
    for when, stamp, missing, strange, held in script:
        # Ours does not let a clock go back behind its own last refresh, which theirs would: time only grows here.
        now = latest = max(latest, STATES[when][0])
        files = {**STATES[-1][1], "timestamp.json": STATES[stamp][1]["timestamp.json"]}
        files |= {name: STRANGER[name] for name in strange}
        gone = {*missing, *(f"{number}.root.json" for number in range(5 - held, 9))}
        files = {name: data for name, data in files.items() if name not in gone}
        assert ours(mine, files, now) == theirs(reference, files, now)


def test_the_scripts_are_not_all_refused(tmp_path):
    begin(tmp_path / "ours", ROOT)
    found = [ours(tmp_path / "ours", files, now) for now, files in STATES]
    assert [len(paths) for paths in found] == [0, 1, 1, 2, 2, 3, 3, 4]
    with pytest.raises(TrustError):
        begin(tmp_path / "ours", STATES[0][1]["timestamp.json"])
