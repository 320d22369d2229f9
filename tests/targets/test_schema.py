"""A target file is read strictly: what is wrong is named by its key, and nothing else than InputError comes out."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright import targets
from edgewright.core.errors import InputError
from edgewright.targets.schema import LIMIT_BYTES, load, parse
from edgewright.targets.toml import dump

GOOD = (files("edgewright.targets") / "data" / "jetson-orin-nano.toml").read_text("utf-8")
CORES = "cores = { value = 6,"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("schema = 1", "schema = 2", "schema must be 1"),
        ("schema = 1", "schema = true", "schema must be 1"),
        ("schema = 1\n", "", "schema is missing"),
        ("title =", "titel =", "titel is not a known key"),
        ('name = "jetson', 'name = "../jetson', "name is not usable text"),
        ('class = "medium"', 'class = "huge"', "class must be one of ultra-low"),
        (CORES, "cores = { value = 6.5,", "figures.cores.value must be a whole number"),
        (CORES, "cores = { value = 0,", "figures.cores.value must be a whole number"),
        (CORES, "cores = { value = nan,", "figures.cores.value must be a finite number"),
        (CORES, "cores = { value = inf,", "figures.cores.value must be a finite number"),
        (CORES, "cores = { value = -6,", "figures.cores.value must be a finite number"),
        (CORES, 'cores = { value = "6",', "figures.cores.value must be a finite number"),
        (CORES, "cores = { value = true,", "figures.cores.value must be a finite number"),
        (CORES, f"cores = {{ value = 1{'0' * 400},", "figures.cores.value must be a finite number"),
        (CORES, f"cores = {{ value = 1{'0' * 9000},", "not a TOML document"),
        (CORES, "cores = { value = 6, low = 5,", "figures.cores.low is not a known key"),
        ('unit = "cores"', 'unit = "core"', "figures.cores.unit must be 'cores'"),
        ('value = 6, unit = "cores", ', "value = 6, ", "figures.cores.unit is missing"),
        ('unit = "Hz", source =', 'unit = "Hz", sauce =', "figures.clock.sauce is not a known key"),
        ("[compute]", "[compute]\nfp8 = 1", "compute.fp8 is not a known key"),
        ("[caches]", "[caches]\nl1d = 5", "not a TOML document"),
        ('names = ["neon",', 'names = ["neon", "neon",', "isa.names names something twice"),
        ('names = ["neon",', 'names = [7, "neon",', "isa.names is not usable text"),
        ('names = ["onnxruntime",', 'names = ["ortx",', "engines.names must be one of onnxruntime"),
        ('names = ["fp32",', 'names = ["fp64",', "number_types.names must be one of fp32"),
        ('kind = "gpu"', 'kind = "tpu"', "accelerators[0].kind must be one of gpu"),
        (
            "[figures]",
            "[figures]\nfast_cores = { value = 7, unit = 'cores', source = 'x' }",
            "figures.fast_cores.value",
        ),
        ("[figures]", "[figures]\nmax_model = 5", "figures.max_model must be a table"),
        ("sustained = { value = 0.95", "sustained = { value = 1.5", "figures.sustained.value must lie in"),
        ("power_idle = { value = 4", "power_idle = { value = 40", "figures.power_idle.value is more than"),
        ("ram_model = { value = 5", "ram_model = { value = 5000", "figures.ram_model.value is more than figures.ram"),
        ("clock = { value = 1.5e9", "clock = { value = 0.5", "figures.clock.value must be at least 1"),
        ("NVIDIA Jetson", "NVIDIA\\nJetson", "title has a control character"),
        ("schema = 1", "schema = 1\nnotes = 5", "not a TOML document"),
    ],
)
def test_what_is_wrong_is_named(old, new, key):
    broken = GOOD.replace(old, new, 1)
    assert broken != GOOD
    with pytest.raises(InputError) as error:
        parse(broken.encode(), "my.toml")
    assert str(error.value).startswith("my.toml: ")
    assert key in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 5000, b"a = " + b"[" * 5000, b"x = 1 = 2", b"\0"])
def test_what_is_no_target_is_refused(data):
    with pytest.raises(InputError, match=r"my\.toml: "):
        parse(data, "my.toml")


def test_a_required_table_that_is_missing_is_named():
    head, _, _ = GOOD.partition("[figures]")
    with pytest.raises(InputError, match="is missing"):
        parse(head.encode(), "my.toml")


@given(st.integers(0, len(GOOD) - 1), st.sampled_from(["", "\n", "=", '"', "9", "{", "]", "x", "\\", "#"]))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(place, letter):
    damaged = GOOD[:place] + letter + GOOD[place + 1 :]
    try:
        found = parse(damaged.encode(), "my.toml")
    except InputError:
        return
    assert parse(dump(found).encode(), "again") == found


@pytest.mark.parametrize("name", [name for name in targets.names() if name != "host"])
def test_what_is_written_is_read_back(name):
    found = targets.target(name)
    assert parse(dump(found).encode(), name) == found


def test_a_file_of_your_own_is_loaded(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert targets.target(path) == targets.target(str(path)) == load(path)


def test_a_file_cannot_pose_as_this_machine(tmp_path):
    path = tmp_path / "host.toml"
    path.write_text(GOOD.replace('name = "jetson-orin-nano"', 'name = "host"', 1))
    with pytest.raises(InputError, match="kept for the machine one is on"):
        targets.target(path)


def test_an_oversized_file_a_folder_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "big.toml").write_bytes(b"#" * (LIMIT_BYTES + 1))
    (tmp_path / "folder.toml").mkdir()
    for name in ("big.toml", "folder.toml", "missing.toml"):
        with pytest.raises(InputError, match=name):
            targets.target(tmp_path / name)
