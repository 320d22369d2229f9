"""Files that say what devices are told."""

import pytest

from edgewright.cli.device import _read
from edgewright.core.errors import InputError

TOLD = {"config": {"models": {"*": {"max_batch": 4}}}, "collect": {"period_s": 60}}


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"config": {"models": {"*": {"max_batch": 4}}}, "collect": {"period_s": 60}}'),
     ("a.toml", '[config.models."*"]\nmax_batch = 4\n[collect]\nperiod_s = 60\n')],
)  # fmt: skip
def test_json_and_toml_say_the_same(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert _read(tmp_path / name) == TOLD


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "{"), ("a.json", "[]"), ("a.json", "{}"), ("a.toml", "models = 3"), ("a.toml", "=")]
)
def test_what_cannot_be_used_is_told(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="a"):
        _read(tmp_path / name)
