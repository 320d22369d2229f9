"""How fast a device may fetch: as its hub says, or less where the device itself does."""

import pytest

from edgewright.agent.net.downloads import Pace, Stopped
from edgewright.core.messages import Collect, Desired


class Clock:
    """Seconds that pass while somebody pauses."""

    def __init__(self):
        self.now, self.pauses = 0.0, 0

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.now, self.pauses = self.now + seconds, self.pauses + 1


@pytest.mark.parametrize(("limit", "seconds"), [(0, 0.0), (20_000, 16.0), (50_000, 1.0)])
def test_a_bundle_comes_in_its_time_and_by_pieces_that_were_asked_for(hub, one, offer, limit, seconds):
    clock = Clock()
    one.source._pace = Pace(one.stop, lambda: limit, clock, clock.pause)
    offered = offer("large")
    assert one.until("idle").result == "committed"
    assert one.slots.current == offered.digest
    assert clock.now >= seconds and (clock.pauses > 0) == (limit > 0)
    size = hub.served
    asked = [one for one in hub.asked if "/bundles/" in one]
    assert len(asked) == (-(-size // max(8 * limit, 65536)) if limit else 1), "no more is asked for than may come now"


def test_the_hub_and_the_device_itself_may_set_a_limit(one):
    assert one.source._limit() == 0 and one.source._pace.span == 0
    one.wishes.take(Desired(1, collect=Collect(download_bytes_s=1_000)), 0)
    assert one.source._limit() == 1_000 and one.source._pace.span == 65536
    one.source._most_bytes_s = 500
    assert one.source._limit() == 500
    one.wishes.take(Desired(2), 1)
    assert one.source._limit() == 500


def test_a_limit_that_is_lifted_or_a_wish_that_is_gone_ends_the_pause():
    clock, limits, stop = Clock(), [1], [False]
    pace = Pace(lambda: stop[0], lambda: limits[0], clock, clock.pause)
    pace.wait()
    pace.took(10**6)
    clock.pause = lambda seconds: limits.__setitem__(0, 0)
    pace._pause = clock.pause
    pace.wait()
    assert clock.now == 0.0
    limits[0] = 1
    pace.took(10**6)
    pace._pause = lambda seconds: stop.__setitem__(0, True)
    with pytest.raises(Stopped):
        pace.wait()


def test_no_second_takes_more_than_its_share_on_average():
    clock, came = Clock(), []
    pace = Pace(limit=lambda: 1000, clock=clock, pause=clock.pause)
    for _ in range(40):
        pace.wait()
        came.append((clock.now, pace.span))
        pace.took(pace.span)
    begun = came[0][0]
    for at, _ in came[1:]:
        assert sum(n for t, n in came if begun <= t < at) <= 1000 * (at - begun) + 1e-6
