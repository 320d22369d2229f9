"""Figures know where they come from; targets answer what is asked of them."""

import pytest

from edgewright import targets
from edgewright.targets import Figure
from edgewright.targets.description import scaled


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("Intel ARK, Processor N100", "stated"),
        ("derived: 2 x 4 lanes", "derived"),
        ("assumed: a common card", "assumed"),
        ("measured: onnxruntime", "measured"),
        ("detected: /proc/meminfo", "detected"),
        ("derivedly: not the word", "stated"),
        ("stated: in a document", "stated"),
    ],
)
def test_kind_is_told_by_the_source(source, kind):
    assert Figure(1.0, "W", source).kind == kind


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_figure_is_finite_and_not_negative(value):
    with pytest.raises(ValueError, match="finite and not negative"):
        Figure(value, "W", "x")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4, "cores", "4 cores"), (1, "threads", "1 thread"), (0.8, "ratio", "0.8"), (8 << 30, "B", "8 GiB"),
        (100, "B", "100 B"), (19.2e9, "MAC/s", "19.2 GMAC/s"), (2.4e9, "Hz", "2.4 GHz"), (0.0099, "W", "9.9 mW"),
        (4.6e-12, "J", "4.6 pJ"), (0, "W", "0 W"), (0.24e-9, "J", "240 pJ"), (1.5e-7, "s", "150 ns"),
    ],
)  # fmt: skip
def test_numbers_are_shown_with_prefixes(value, unit, text):
    assert scaled(value, unit) == text


def test_a_missing_type_runs_in_a_wider_one():
    pi = targets.target("raspberry-pi-4")
    assert pi.arithmetic("fp16") == "fp32"
    assert pi.arithmetic("int4") == "fp32"
    assert pi.arithmetic("int8") == "int8"
    assert pi.peak("fp16", 1) == pi.compute["fp32"]


def test_peak_counts_fast_cores_only():
    phone = targets.target("android-mid")
    assert phone.usable_cores == 4
    assert int(phone.cores) == 8
    assert phone.peak("fp32").value == 4 * phone.compute["fp32"].value
    assert phone.peak("fp32", 99).value == phone.peak("fp32").value
    assert phone.peak("fp32", 0).value == phone.compute["fp32"].value


def test_instruction_sets_are_asked_by_name():
    server = targets.target("server-x86-vnni")
    assert server.has("avx512_vnni", "avx2")
    assert not server.has("avx512_vnni", "amx_int8")
    assert not targets.target("industrial-pc-avx2").has("avx512_vnni")


def test_tables_cannot_be_changed():
    with pytest.raises(TypeError):
        targets.target("raspberry-pi-5").compute["fp32"] = Figure(1.0, "MAC/s", "x")


@pytest.mark.parametrize("name", ["stm32h7", "arduino-nano-33-ble", "esp32-s3", "ultra-low"])
def test_microcontrollers_are_known_as_such(name):
    assert targets.target(name).microcontroller
    assert targets.target(name).device_class == "ultra-low"


def test_a_json_value_comes_out():
    found = targets.target("jetson-orin-nano").to_json()
    assert found["figures"]["cores"] == {"value": 6.0, "unit": "cores", "source": found["figures"]["cores"]["source"]}
    assert found["accelerators"][0]["compute"]["int8"]["unit"] == "MAC/s"
