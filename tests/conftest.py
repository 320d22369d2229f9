"""What every test stands on: no speed limits on examples, and nothing written into the user's own folders."""

import os
import shutil
import tempfile

import hypothesis
import pytest

# Slow machines are not wrong ones; the same examples every time, so that a failure is about the change at hand.
hypothesis.settings.register_profile("edgewright", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("edgewright")

_OURS = "EDGEWRIGHT_TEST_HOME"
_HOME = pytest.StashKey[str]()


def pytest_configure(config):
    """Keys and probes go to a folder of this run; worker processes inherit it from the one that started them."""
    if _OURS not in os.environ:
        os.environ[_OURS] = config.stash[_HOME] = tempfile.mkdtemp(prefix="edgewright-tests-")
        for name in ("config", "cache"):
            os.environ[f"XDG_{name.upper()}_HOME"] = f"{os.environ[_OURS]}/{name}"


def pytest_unconfigure(config):
    home = config.stash.get(_HOME, None)
    if home is not None:
        shutil.rmtree(home, ignore_errors=True)
        del os.environ[_OURS]
