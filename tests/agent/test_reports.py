"""Store and forward: what was accepted is never lost, what is told is told once it is asked for, all is bounded."""

import os
import random
import shutil

import pytest

from edgewright.agent import Reports
from edgewright.testing.powercuts import life


def values(reports, most=1 << 30):
    return [report.value for report in reports.batch(most)]


def test_what_is_accepted_waits_until_it_is_acknowledged(tmp_path):
    with Reports(tmp_path / "r") as reports:
        assert [reports.append({"n": n}) for n in range(3)] == [1, 2, 3]
        boot = reports.boot
        assert [r.sequence for r in reports.batch()] == [1, 2, 3]
        reports.acknowledge(boot, 2)
        reports.acknowledge(boot, 1)  # an answer that comes late
        reports.acknowledge("another", 3)
        assert values(reports) == [{"n": 2}]
    with Reports(tmp_path / "r") as again:
        assert again.boot != boot and values(again) == [{"n": 2}]
        assert again.append({"n": 3}) == 1
        assert [(r.boot, r.sequence) for r in again.batch()] == [(boot, 3), (again.boot, 1)]
        again.acknowledge(again.boot, 1)
        assert values(again) == []
    with Reports(tmp_path / "r") as last:
        assert values(last) == []


def test_files_go_when_they_are_told_and_numbers_never_come_back(tmp_path):
    with Reports(tmp_path / "r") as reports:
        for n in range(200):
            reports.append({"n": n, "pad": "x" * 1000})
        assert len(list((tmp_path / "r").glob("*.log"))) >= 3
        while batch := reports.batch(50_000):
            reports.acknowledge(batch[-1].boot, batch[-1].sequence)
        assert len(list((tmp_path / "r").glob("*.log"))) == 1
        (tmp_path / "r" / "00000004.log").unlink(missing_ok=True)
    with Reports(tmp_path / "r") as again:
        assert again.append({"n": "new"}) == 1
    with Reports(tmp_path / "r") as last:
        assert values(last) == [{"n": "new"}]


def test_a_batch_is_bounded_but_never_empty(tmp_path):
    with Reports(tmp_path / "r") as reports:
        for n in range(10):
            reports.append({"n": n, "pad": "x" * 1000})
        assert len(values(reports, 1)) == 1 and 2 <= len(values(reports, 4000)) <= 4


def test_what_finds_no_room_is_refused_and_counted(tmp_path):
    with Reports(tmp_path / "r", most_bytes=8000) as reports:
        accepted = sum(reports.append({"n": n, "pad": "x" * 900}) is not None for n in range(20))
        assert 0 < accepted < 8 and reports.lost == 20 - accepted and "wait to be told" in reports.trouble
        assert reports.append({"what": "rolled back"}, urgent=True) is not None, "room is kept for it"
        told = values(reports)
        assert told[accepted:] == [{"lost": 20 - accepted}, {"what": "rolled back"}] and reports.lost == 0


def test_the_count_of_the_refused_outlives_a_kill(tmp_path):
    with Reports(tmp_path / "r", most_bytes=2000) as reports:
        for n in range(40):
            reports.append({"n": n, "pad": "x" * 900})
        assert reports.lost == 39
    with Reports(tmp_path / "r") as again:
        assert 20 <= again.lost <= 39


def test_a_report_that_is_too_large_is_the_callers_fault(tmp_path):
    from edgewright.core.errors import InputError

    with Reports(tmp_path / "r") as reports:
        with pytest.raises(InputError, match="larger than"):
            reports.append({"pad": "x" * 70_000})
        assert reports.append({"n": 1}) == 1


def test_damage_costs_what_is_damaged_and_no_more(tmp_path):
    with Reports(tmp_path / "r") as reports:
        for n in range(5):
            reports.append({"n": n})
    path = tmp_path / "r" / "00000001.log"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with Reports(tmp_path / "r") as again:
        assert [v["n"] for v in values(again)] == [0, 1, 3, 4]


@pytest.mark.parametrize("mode", ["kill", "synced", "drawn"])
def test_no_accepted_report_is_lost(ram, mode):
    rng, folder, accepted, told = random.Random(mode), ram / "r", ram / "accepted", ram / "told"
    kills = 0
    for number in range(60):
        before = accepted.read_text().split() if accepted.exists() else []

        def deed(number=number):
            taken = os.open(accepted, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            given = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            with Reports(folder / "reports") as reports:
                for n in range(12):
                    if reports.append({"id": f"{number}-{n}", "pad": "x" * 3000}):
                        os.write(taken, f"{number}-{n} ".encode())
                    if n % 5 == 4 and (batch := reports.batch(9000)):
                        os.write(given, "".join(f"{r.value['id']} " for r in batch).encode())
                        reports.acknowledge(batch[-1].boot, batch[-1].sequence)

        folder.mkdir(exist_ok=True)
        found = life(folder, deed, rng.randrange(1, 160), mode, seed=number)
        assert not found.wrong, found
        kills += found.killed
        assert len(accepted.read_text().split()) >= len(before)
    with Reports(folder / "reports") as reports:
        waiting = {v["id"] for v in values(reports)}
    lost = set(accepted.read_text().split()) - waiting - set(told.read_text().split())
    assert not lost and kills > 30
    shutil.rmtree(folder)
