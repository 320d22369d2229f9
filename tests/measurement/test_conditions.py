"""The machine as it was, read from a tree of its own; and what disturbed a run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgewright.core.digests import canonical_json
from edgewright.measurement.conditions import (
    Counters,
    disturbance,
    environment,
    environment_digest,
    preemptions,
    read_counters,
)
from edgewright.measurement.quiet import Pin, choose_cpus

SECOND = 1_000_000_000
TICK = os.sysconf("SC_CLK_TCK")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root


def test_the_environment_is_json_and_leaves_out_what_nobody_knows(tmp_path: Path):
    told = environment(tmp_path)
    canonical_json(told)
    assert "governor" not in told
    assert "container" not in told
    first = min(os.sched_getaffinity(0))
    cpu = f"sys/devices/system/cpu/cpu{first}/cpufreq"
    write(
        tmp_path,
        {
            "proc/cpuinfo": "model name\t: Some CPU\nflags\t\t: avx2 hypervisor\n",
            f"{cpu}/scaling_governor": "powersave\n",
            f"{cpu}/scaling_cur_freq": "1800000\n",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
            "etc/os-release": 'NAME=x\nPRETTY_NAME="Some Linux 1"\n',
            ".dockerenv": "",
            "sys/class/dmi/id/sys_vendor": "QEMU\n",
        },
    )
    told = environment(tmp_path)
    assert told["cpu"] == "Some CPU"
    assert told["governor"] == "powersave"
    assert told["frequency_mhz"] == {"now": 1800.0}
    assert told["boost"] is False
    assert told["system"] == "Some Linux 1"
    assert told["container"] == "docker"
    assert told["virtual_machine"] == "QEMU"


def test_the_environments_name_does_not_change_from_minute_to_minute():
    assert environment_digest() == environment_digest()
    assert len(environment_digest()) == 12


def test_counters_are_read_where_the_kernel_writes_them(tmp_path: Path):
    write(
        tmp_path,
        {"proc/stat": "cpu  100 1 20 999 5 3 2 40 0 0\ncpu0 1 1\n", "sys/fs/cgroup/cpu.stat": "nr_throttled 7\n"},
    )
    found = read_counters(tmp_path)
    assert (found.busy_ticks, found.steal_ticks, found.throttled) == (126, 40, 7)
    assert found.preemptions >= 0
    assert preemptions() >= found.preemptions
    silent = read_counters(tmp_path / "nothing")
    assert (silent.busy_ticks, silent.steal_ticks, silent.throttled) == (None, None, None)


@pytest.mark.parametrize(
    ("after", "rounds", "says"),
    [
        (Counters(10 * SECOND, 10 * SECOND, 0, 10 * TICK, 0, 0), [0] * 20, []),
        (Counters(10 * SECOND, 10 * SECOND, 0, 18 * TICK, 0, 0), [0] * 20, ["other processes used 0.8 of 2 CPUs"]),
        (Counters(10 * SECOND, 10 * SECOND, 0, 10 * TICK, 2 * TICK, 0), [0] * 20, ["the hypervisor withheld 10%"]),
        (Counters(10 * SECOND, 10 * SECOND, 0, 10 * TICK, 0, 3), [0] * 20, ["quota stopped the process 3 times"]),
        (Counters(10 * SECOND, 10 * SECOND, 9, 10 * TICK, 0, 0), [1] * 9 + [0] * 11, ["9 of 20 rounds"]),
        (Counters(10 * SECOND, 10 * SECOND, 0), [0] * 20, []),
    ],
)
def test_disturbances_are_named(after: Counters, rounds: list[int], says: list[str]):
    before = Counters(0, 0, 0, *(None if x is None else 0 for x in (after.busy_ticks, after.steal_ticks)), 0)
    notes = disturbance(before, after, rounds, cpus=2).get("notes", [])
    assert len(notes) == len(says)
    for note, part in zip(notes, says, strict=True):
        assert part in note


def test_cores_are_distinct_the_strong_ones_first_and_the_current_among_equals(tmp_path: Path):
    cpu = "sys/devices/system/cpu"
    files = {"proc/cpuinfo": ""}
    for i, siblings in enumerate(("0-1", "0-1", "2-3", "2-3", "4", "5")):
        files[f"{cpu}/cpu{i}/topology/thread_siblings_list"] = siblings
        files[f"{cpu}/cpu{i}/cpu_capacity"] = "1024" if i < 4 else "400"
    write(tmp_path, files)
    everything = set(range(6))
    assert choose_cpus(everything, 1, 3, tmp_path) == {3}
    assert choose_cpus(everything, 2, 3, tmp_path) == {3, 0}
    assert choose_cpus(everything, 3, None, tmp_path) == {0, 2, 4}
    assert choose_cpus(everything, 5, None, tmp_path) == set()
    assert choose_cpus({4, 5}, 1, 0, tmp_path) == {4}


def test_a_pin_puts_everything_back():
    before = os.sched_getaffinity(0)
    with Pin(1) as pin:
        if len(before) > 1 and pin.cpus:
            assert os.sched_getaffinity(0) == set(pin.cpus)
            assert len(pin.cpus) == 1
    assert os.sched_getaffinity(0) == before
    with Pin(10_000) as pin:
        assert pin.cpus == ()
