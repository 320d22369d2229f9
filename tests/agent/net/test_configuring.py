"""The runtime's configuration from the hub: laid over the device's own, never in place of what is the owner's."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.agent.net.configuring import Configurer, merged, runtime_check
from edgewright.core.errors import EngineError, InputError

BATCH = {"models": {"m": {"max_batch": 4}}}


class Runtime:
    """Remembers what it was started with; ``wrong``: what it cannot serve with."""

    def __init__(self, state):
        self.path, self.wrong, self.refused, self.seen = state / "runtime.toml", "", "", []

    def check(self, path):
        tomllib.loads(path.read_text())
        return self.refused

    def restart(self):
        text = self.path.read_text() if self.path.is_file() else ""
        self.seen.append(text)
        if self.wrong and self.wrong in text:
            raise EngineError("it ends at once")


@pytest.fixture
def runtime(tmp_path):
    return Runtime(tmp_path)


@pytest.fixture
def configurer(tmp_path, runtime):
    return Configurer(tmp_path, runtime.check, runtime.restart)


def now(runtime):
    return tomllib.loads(runtime.path.read_text()) if runtime.path.is_file() else None


def test_once_and_back_again(configurer, runtime):
    assert configurer.apply({}) == "" and not runtime.seen
    assert configurer.apply(BATCH) == "" and now(runtime) == BATCH
    assert configurer.apply(BATCH) == "" and len(runtime.seen) == 1
    assert configurer.apply({}) == "" and now(runtime) is None and len(runtime.seen) == 2


def test_over_the_devices_own(configurer, runtime):
    own = '[server]\ntokens = "t"\ncache_mb = 1.0\n[models."m"]\nthreads = 2\n'
    runtime.path.write_text(own)
    assert configurer.apply({**BATCH, "server": {"cache_mb": 8.0}}) == ""
    assert now(runtime) == {
        "server": {"tokens": "t", "cache_mb": 8.0},
        "models": {"m": {"threads": 2, "max_batch": 4}},
    }
    assert configurer.apply({"models": {"m": {"max_batch": 2}}}) == ""
    assert now(runtime)["server"] == {"tokens": "t", "cache_mb": 1.0}
    assert configurer.apply({}) == "" and now(runtime) == tomllib.loads(own)


@pytest.mark.parametrize(
    "config",
    [{"server": {"http": "0.0.0.0:80"}}, {"server": {"tokens": ""}}, {"server": {"uds": "/x"}}, {"shell": {}},
     {"models": 3}, {"models": {"m": {"fail_safe": {"y": None}}}}, {"server": {"certificate": "/x"}}],
)  # fmt: skip
def test_what_the_hub_has_no_say_in(configurer, runtime, config):
    assert (why := configurer.apply(config)) and not runtime.seen and now(runtime) is None
    assert configurer.apply(config) == "", "it is told once"
    assert configurer.refused == why[:500], "and the hub hears of it for as long as it lasts"
    again = Configurer(runtime.path.parent, runtime.check, runtime.restart)
    assert again.refused == why[:500]
    assert again.apply({}) == "" and again.refused == ""


def test_what_the_runtime_refuses_is_never_put_in_place(configurer, runtime):
    configurer.apply(BATCH)
    runtime.refused = "max_batch is too large"
    assert "too large" in configurer.apply({"models": {"m": {"max_batch": 99}}})
    assert now(runtime) == BATCH and len(runtime.seen) == 1


def test_what_the_runtime_does_not_start_with_is_taken_back(configurer, runtime):
    configurer.apply(BATCH)
    runtime.wrong = "99"
    assert "ends at once" in configurer.apply({"models": {"m": {"max_batch": 99}}})
    assert now(runtime) == BATCH and runtime.seen[-1] == runtime.seen[0]


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=6), st.dictionaries(st.text(max_size=6), VALUES, min_size=1, max_size=3)))
def test_toml_says_what_json_said(models):
    config = {"models": models} if models else {}
    assert tomllib.loads(merged({}, config)) == config


def test_by_the_runtime_itself(tmp_path, made, key):
    """With the real runtime's own check."""
    folder, public = tmp_path / "models", tmp_path / "signer.pub"
    folder.mkdir()
    (folder / "m").symlink_to(made.a.path.with_suffix(".folder"))
    public.write_text(key.public.text())
    check = runtime_check(folder, lambda: [public])
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(merged({}, BATCH))
    bad.write_text(merged({}, {"models": {"m": {"max_batches": 4}}}))
    assert check(good) == "" and "max_batches" in check(bad)
    with pytest.raises(InputError):
        merged({}, {"nothing": {}})


def test_a_restart_is_told_with_its_gap_and_is_left_out_where_nothing_changed(tmp_path, runtime):
    said, now = [], [100.0]

    def restart():
        now[0] += 1.5
        runtime.restart()

    configurer = Configurer(tmp_path, runtime.check, restart, said.append, lambda: now[0])
    runtime.path.write_text("# the owner's\n[models.m]\nmax_batch = 4\n")
    assert configurer.apply(BATCH) == "" and not runtime.seen and "before" in said[0]
    assert configurer.apply({"models": {"m": {"max_batch": 8}}}) == "" and len(runtime.seen) == 1
    assert "1.5 s without answers" in said[1]
