"""Every shipped target keeps the contract; unknown names are met with near ones; importing stays light."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from edgewright import targets
from edgewright.core.errors import InputError
from edgewright.testing.targets import check_target

SHIPPED = sorted(Path(str(files("edgewright.targets") / "data")).glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_target_keeps_the_contract(path):
    assert check_target(path).name in targets.names()


def test_the_machines_promised_are_there():
    promised = {
        "host", "raspberry-pi-4", "raspberry-pi-5", "jetson-orin-nano", "intel-n100", "industrial-pc-avx2",
        "server-x86-vnni", "android-mid", "android-flagship", "iphone", "stm32h7", "arduino-nano-33-ble", "esp32-s3",
        "ultra-low", "low", "medium", "high",
    }  # fmt: skip
    assert promised <= set(targets.names())
    assert targets.names()[0] == "host"


@pytest.mark.parametrize("name", ["ultra-low", "low", "medium", "high"])
def test_a_class_is_of_itself(name):
    assert targets.target(name).device_class == name


@pytest.mark.parametrize(
    ("name", "near"),
    [("raspberry-pi5", "raspberry-pi-5"), ("Raspberry-Pi-4", "raspberry-pi-4"), ("jetson-nano", "jetson-orin-nano"),
     ("hots", "host"), ("stm32h743", "stm32h7"), ("zzz", "there are: host")],
)  # fmt: skip
def test_an_unknown_name_is_met_with_near_ones(name, near):
    with pytest.raises(InputError, match=near):
        targets.target(name)


@pytest.mark.parametrize("name", ["", "x" * 10_000, "../data/iphone", "data/iphone.toml"])
def test_a_name_never_reaches_into_the_package(name):
    with pytest.raises(InputError) as error:
        targets.target(name)
    assert len(str(error.value)) < 12_000


def test_a_shipped_name_wins_over_a_file_in_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iphone").write_text("nonsense")
    assert targets.target("iphone").name == "iphone"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace('name = "low"', 'name = "other"'), "must be in"),
        (lambda text: text.replace("derived: one per core", "derived: "), "which is no source"),
    ],
)
def test_the_contract_says_what_it_misses(tmp_path, change, complaint):
    text = next(path for path in SHIPPED if path.stem == "low").read_text()
    path = tmp_path / "low.toml"
    path.write_text(change(text))
    with pytest.raises((AssertionError, InputError), match=complaint):
        check_target(path)


def test_describing_and_predicting_import_no_engine():
    code = (
        "import sys; from edgewright import targets; from edgewright.core.workload import *;"
        "t = targets.target('raspberry-pi-5');"
        "targets.predict_latency(Workload((OperatorCost('a','Conv',10,0,1,1,1),),1,1,1), t);"
        "heavy = {'onnx','onnx_ir','onnxruntime','openvino','torch','scipy','sklearn'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
