"""A hub over real mTLS, and devices that are enrolled at it."""

from __future__ import annotations

import pytest

from edgewright.testing.hubs import TestHub


@pytest.fixture
def hub(tmp_path):
    with TestHub(tmp_path / "hub") as found:
        yield found
