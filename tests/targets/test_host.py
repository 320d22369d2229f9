"""This machine is read from its files: other machines' files stand in for it."""

import os
from dataclasses import replace

import pytest

from edgewright.targets import cpu, library
from edgewright.targets.host import describe, detect
from edgewright.targets.limits import cpu_quota, memory_limit
from edgewright.targets.rapl import rapl
from edgewright.targets.schema import parse
from edgewright.targets.toml import dump


@pytest.fixture
def tree(tmp_path):
    """A root folder; call it with {path: text} to fill it."""

    def fill(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return fill


CACHE = "sys/devices/system/cpu/cpu0/cache"
X86 = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz\ncpu MHz\t\t: 2400.000\n"
    "flags\t\t: fpu sse4_2 avx avx2 fma f16c avx512f avx512bw avx512_vnni\n\nprocessor\t: 1\ncpu MHz\t\t: 800.0\n",
    "proc/meminfo": "MemTotal:       65536000 kB\nMemFree: 5 kB\n",
    "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-1\n",
    "sys/devices/system/cpu/cpu1/topology/thread_siblings_list": "0-1\n",
    f"{CACHE}/index0/level": "1", f"{CACHE}/index0/type": "Data", f"{CACHE}/index0/size": "48K",
    f"{CACHE}/index2/level": "2", f"{CACHE}/index2/type": "Unified", f"{CACHE}/index2/size": "1280K",
    f"{CACHE}/index3/level": "3", f"{CACHE}/index3/type": "Unified", f"{CACHE}/index3/size": "24M",
    f"{CACHE}/index4/level": "4", f"{CACHE}/index4/type": "Odd", f"{CACHE}/index4/size": "lots",
}  # fmt: skip
PI5 = {
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm aes fphp asimdhp asimddp\n"
    "CPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
    "proc/meminfo": "MemTotal:        8259792 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
    "sys/devices/system/cpu/cpu3/cpufreq/cpuinfo_max_freq": "2400000\n",
}


def test_an_x86_server_is_recognized(tree):
    found = cpu.read_cpu(tree(X86))
    assert found.architecture == "x86_64"
    assert {"avx512_vnni", "avx2", "f16c"} <= found.isa
    assert "fpu" not in found.isa
    assert found.clock.value == 2.4e9
    assert {name: int(size) for name, size in found.caches.items()} == {"l1d": 49152, "l2": 1310720, "l3": 25165824}
    assert found.physical({0, 1}) == 1
    assert found.physical({0, 5}) == 2


def test_a_raspberry_pi_is_recognized(tree):
    found = cpu.read_cpu(tree(PI5))
    assert (found.architecture, found.model) == ("aarch64", "Raspberry Pi 5 Model B Rev 1.0")
    assert found.isa == {"neon", "neon_fp16", "neon_dotprod"}
    assert found.clock.value == 2.4e9
    assert found.clock.kind == "detected"


@pytest.mark.parametrize(
    "cpuinfo",
    [
        "",
        "flags",
        "flags :",
        "Features\t:\n",
        "cpu MHz : fast\nflags : avx2",
        "model name : \x1b[31m\x07evil\nflags: avx",
    ],
)
def test_odd_files_do_no_harm(tree, cpuinfo):
    root = tree(
        {"proc/cpuinfo": cpuinfo, "proc/meminfo": "MemTotal: many kB\n", "proc/self/cgroup": "::::\n0::/../..\n"}
    )
    found = detect(root)
    assert found.clock.value > 0
    assert "\x1b" not in found.title
    assert parse(dump(found).encode(), "host") == found


def test_detected_host_counts_memory_and_class(tree):
    found = detect(tree(X86))
    assert found.ram.value == 65536000 * 1024
    assert found.ram_model.value == found.ram.value * 3 // 4
    assert found.device_class == "high"
    assert found.compute["int8"].value == 128 * 2.4e9
    assert found.compute["int8"].kind == "derived"
    assert found.power_busy.kind == "assumed"
    assert detect(tree(PI5)).device_class in ("medium", "high")
    assert describe(found)["caches_bytes"]["l2"] == 1310720


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({}, None, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"},
         None, None),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
          "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n", "sys/fs/cgroup/a/b/memory.max": "1000000\n",
          "sys/fs/cgroup/memory.max": "2000000\n"}, 1.5, 1000000),
        ({"proc/self/cgroup": "4:memory:/x\n1:cpu,cpuacct:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n",
          "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
          "sys/fs/cgroup/memory/memory.limit_in_bytes": "4096\n"}, 0.5, 4096),
        ({"proc/self/cgroup": "4:memory:/\n1:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
          "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, None, None),
        ({"proc/self/cgroup": "0::/../../etc\n", "etc/cpu.max": "1 1\n"}, None, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 0\n"}, None, None),
    ],
)  # fmt: skip
def test_control_groups_limit_what_counts(tree, files, cpus, memory):
    root = tree(files)
    assert cpu_quota(root) == cpus
    assert memory_limit(root) == memory


def test_quota_and_memory_limit_reach_the_target(tree):
    root = tree(
        X86
        | {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n",
           "sys/fs/cgroup/memory.max": str(1 << 30)}
    )  # fmt: skip
    found = detect(root)
    assert int(found.cores) == 1
    assert found.ram_model.value == (1 << 30) * 3 // 4
    assert found.ram.value == 65536000 * 1024


def test_affinity_limits_the_cores(tree, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 4}, raising=False)
    assert int(detect(tree(X86)).cores) == 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "absent"),
        ({"sys/class/powercap/intel-rapl:0/name": "package-0\n", "sys/class/powercap/intel-rapl:0/energy_uj": "5\n",
          "sys/class/powercap/intel-rapl:0:0/name": "core\n", "sys/class/powercap/intel-rapl:0:0/energy_uj": "5\n"},
         "readable (package-0)"),
        ({"sys/class/powercap/intel-rapl:1/energy_uj": "5\n"}, "readable (intel-rapl:1)"),
    ],
)  # fmt: skip
def test_energy_counters_are_found(tree, files, said):
    assert str(rapl(tree(files))) == said


def test_energy_counters_may_be_there_and_closed(tree, monkeypatch):
    root = tree({"sys/class/powercap/intel-rapl:0/name": "package-0", "sys/class/powercap/intel-rapl:0/energy_uj": "5"})
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert str(rapl(root)) == "present (package-0), readable by root only"


def test_accelerators_are_told_by_their_device_nodes(tree):
    root = tree(X86 | {"proc/driver/nvidia/version": "x", "dev/accel/accel0": ""})
    assert [a.name for a in detect(root).accelerators] == ["nvidia-gpu", "npu"]
    assert all(not a.compute for a in detect(root).accelerators)


def test_the_real_machine_gives_a_target_that_can_be_written_and_read():
    found = library.target("host")
    assert found.name == "host"
    assert int(found.cores) <= len(os.sched_getaffinity(0))
    again = parse(dump(replace(found, name="mine")).encode(), "mine")
    assert again.compute == found.compute
