"""Which version is the newest: by number, else by when its files were written."""

import os

import numpy as np
import pytest

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.session import EngineOptions
from edgewright.runtime.desk import Desk
from edgewright.runtime.loading.loader import Loader
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.runtime.versions import ordered
from edgewright.testing.build import Build
from edgewright.trust import SigningKey

X = {"x": np.ones((1, 4), np.float32)}

NUMBERED = [
    ["1.5", "9", "10"], ["1.9", "2.0"], ["1.0-rc", "1.0", "1.0.1"], ["v2", "v10"], ["2024-05-01", "2024-11-01"],
]  # fmt: skip
OTHERS = [["ffea961f6edc", "06ea961f6edc"], ["9000000000ab", "481516234200"], ["20", "stable", "3"], ["3rd", "1st"]]


@pytest.mark.parametrize("versions", NUMBERED)
def test_versions_with_numbers_are_in_their_order_whenever_they_were_written(versions):
    for written in (range(len(versions)), range(len(versions), 0, -1)):
        assert ordered(dict(zip(versions, written, strict=True))) == versions


@pytest.mark.parametrize("versions", OTHERS)
def test_versions_without_are_in_the_order_in_which_they_were_written(versions):
    count = len(versions)
    assert ordered(dict(zip(versions, range(count), strict=True))) == versions
    assert ordered(dict(zip(versions, range(count, 0, -1), strict=True))) == versions[::-1]
    assert ordered(dict.fromkeys(versions, 7)) == sorted(versions)


@pytest.mark.parametrize("packed", [False, True])
def test_of_bundles_that_optimize_sealed_the_one_written_last_answers(tmp_path, packed):
    """Their versions are digests, and a bundle holds no time: equal content gives equal bytes."""
    key, written = SigningKey.generate(), {"06ea961f6edc": 2000, "ffea961f6edc": 1000}
    for version, at in written.items():
        build = Build()
        build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(at))), ["n", 4])
        variant = Variant("onnxruntime", EngineOptions(), build.model())
        golden = bundles.record_golden([variant], [X], count=1)
        content = BundleContent("m", version, variant.model.digest, (variant,), golden, Contract("host"))
        place = tmp_path / "models" / "m" / (f"{version}.ewb" if packed else version)
        place.parent.mkdir(parents=True, exist_ok=True)
        bundles.seal(content, tmp_path / version, key)
        if packed:
            bundles.open(tmp_path / version, [key.public]).pack(place)
        else:
            (tmp_path / version).rename(place)
        os.utime(place if packed else place / "manifest.json", (at, at))
    repository, scheduler = Repository(), Scheduler()
    loader = Loader(repository, Desk(scheduler), Settings(tmp_path / "models", [key.public], watch_s=0))
    try:
        loader.start()
        assert repository.versions("m") == ["ffea961f6edc", "06ea961f6edc"]
        (answer,) = repository.find("m").infer(X).values()
        assert answer[0, 0] == 2000
    finally:
        scheduler.close()
        loader.close()
