"""The serve benchmark's goals and tables, on made-up results, and what it puts on the wire."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from serve import goals, tables
from serve.client import frame_good, frame_missing, http_good, http_missing
from serve.wire import numbers, plain_json, v2_binary, v2_frame, v2_json


def row(server, lane, encoding, clients, p50, **more):
    return {
        "server": server, "lane": lane, "encoding": encoding, "model": "mlp", "clients": clients,
        "placement": "one core", "requests": 1000, "failed": 0, "p50_us": p50, "p99_us": 2 * p50, "p999_us": None,
        "rate": 1e6 / p50, "cpu_us": p50, "failure": "", **more,
    }  # fmt: skip


def compared(*rows):
    return {"compare": {"rows": list(rows), "servers": {}, "placements": {}}}


BARE = row("bare session.run", "in process", "", 1, 5.0)


def found(result):
    return {check.what: check for check in goals.checks(result)}


@pytest.mark.parametrize(("p50", "met"), [(9.9, True), (10.1, False)])
def test_added_time_is_over_the_bare_run(p50, met):
    told = found(compared(BARE, row("Edgewright", "in process", "", 1, p50)))
    assert told["added p50, in process"].met is met


def test_a_lane_that_is_not_there_is_not_met():
    assert found(compared(BARE))["added p50, HTTP binary"].met is False


def test_other_placements_do_not_count():
    away = row("Edgewright", "HTTP", "binary", 8, 10.0, placement="two cores")
    told = found(compared(BARE, away))
    assert told["requests a second, 8 connections, two cores"].met is None
    assert "requests a second, 8 connections, one core" not in told


@pytest.mark.parametrize(("theirs", "met"), [(30.0, True), (29.6, True), (20.0, False)])
def test_no_peer_may_be_ahead(theirs, met):
    rows = [row("Edgewright", "HTTP", "JSON", 8, 30.0), row("X", "HTTP", "JSON", 8, theirs),
            row("echo", "HTTP", "JSON", 8, 1.0), row("Y", "HTTP", "JSON", 8, 90.0)]  # fmt: skip
    check = found(compared(BARE, *rows))["no peer ahead: mlp, JSON, 8 connections, p50"]
    assert check.met is met
    assert "(X)" in check.found


def test_cpu_is_held_against_mlserver():
    rows = [row("Edgewright", "HTTP", "JSON", 8, 30.0, cpu_us=30.0), row("MLServer", "HTTP", "JSON", 8, 300.0)]
    assert found(compared(*rows))["CPU a request over MLServer's, JSON, 8 connections"].met is True
    rows[1]["cpu_us"] = 200.0
    assert found(compared(*rows))["CPU a request over MLServer's, JSON, 8 connections"].met is False


def reloaded(**more):
    seen = {
        "requests": 5000,
        "failed": 0,
        "strange": 0,
        "p50_us": 1.0,
        "p99_us": 2.0,
        "p999_us": 3.0,
        "longest_ms": 4.0,
    }
    return {"model": "big", "bytes": 1, "rate": 1.0, "reloads": 1000, "failure": "", "reload_p50_ms": 5.0,
            "without": seen, "with": dict(seen)} | more  # fmt: skip


def test_reloads_must_be_all_there_and_nothing_may_fail():
    what = "failed requests during reloads of big"
    good = reloaded()
    assert found({"reloads": {"rows": [good]}})[what].met is True
    assert found({"reloads": {"rows": [reloaded(reloads=999)]}})[what].met is False
    good["with"]["strange"] = 1
    assert found({"reloads": {"rows": [good]}})[what].met is False


def test_a_reload_interface_that_fails_is_told():
    check = found({"reloads": {"rows": [reloaded(reloads=0, failure="load answered 404")]}})["reloads of big"]
    assert (check.met, check.found) == (False, "load answered 404")


def test_reload_pauses_are_ratios():
    slow = reloaded()
    slow["with"]["p999_us"] = 6.1
    what = "p99.9 during reloads of big over without"
    assert found({"reloads": {"rows": [slow]}})[what].met is False
    slow["with"]["p999_us"] = 6.0
    assert found({"reloads": {"rows": [slow]}})[what].met is True


def overloaded(who, clock, share):
    return {"where": "HTTP", "who": who, "clock": clock, "requests": 10, "admitted": 9, "met_of_admitted": share,
            "answered_late": 0, "expired": 1, "goodput": 1.0, "goodput_share": 0.95, "saturation": 3.0,
            "late_p50_ms": 0.0, "late_p999_ms": 0.4, "failed": 0}  # fmt: skip


def test_deadlines_are_judged_as_the_client_saw_them():
    rows = [overloaded(who, clock, 0.9995 if clock == "server" else 0.99)
            for who in ("edgewright", "firstcome") for clock in ("client", "server")]  # fmt: skip
    told = found({"overload": {"rows": rows}})
    assert told["deadlines met of those admitted, HTTP, as the client saw it"].met is False
    assert told["deadlines met of those admitted, HTTP, as the server saw it"].met is None
    assert told["goodput over saturation, HTTP, as the client saw it"].met is True
    assert told["told No after the deadline, p99.9, HTTP, as the server saw it"].met is True


def test_the_page_holds_every_part_and_no_broken_table():
    rows = [BARE, row("X", "HTTP", "JSON", 1, 9.0, failure="a | b", requests=0)]
    result = {
        "date": "2026-01-01", "quick": True, "environment": {}, "versions": {"X": {"x": "1"}}, **compared(*rows),
        "tiles": {"rows": [], "failure": "no photographs"}, "reloads": {"rows": [reloaded()]},
        "priorities": {"seconds": 1.0, "rows": [
            {"who": "alone", "critical": 3, "met_share": 1.0, "p50_us": 9.0, "p99_us": None, "p999_us": None,
             "others_rate": 0.0}]},
        "overload": {"load": 2.0, "seconds": 1.0,
                     "rows": [overloaded(w, "client", 1.0) for w in ("edgewright", "firstcome")]},
    }  # fmt: skip
    result["goals"] = [vars(check) for check in goals.checks(result)]
    page = tables.page(result)
    assert "no photographs" in page
    assert "failed: a / b" in page
    width = 0
    for line in page.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        width = width or line.count("|")
        assert line.count("|") == width, line


def test_requests_and_replies_of_every_dialect():
    x = np.arange(4, dtype=np.float32).reshape(1, 4)
    assert json.loads(v2_json("m", x).body)["inputs"][0]["data"] == [0, 1, 2, 3]
    request = v2_binary("m", x, timeout_s=0.005)
    head = int(request.headers["Inference-Header-Content-Length"])
    assert json.loads(request.body[:head])["parameters"] == {"timeout": 5000}
    assert request.body[head:] == x.tobytes()
    frame = v2_frame("m", x)
    magic, _, _, _, _, told, size = struct.unpack_from("<4sBBHIII", frame)
    assert (magic, size) == (b"EWF1", len(frame) - 20)
    assert json.loads(frame[20 : 20 + told])["model_name"] == "m"
    assert json.loads(plain_json("/p", x, nested=True, name="m").body) == {"name": "m", "x": [[0, 1, 2, 3]]}


@pytest.mark.parametrize(
    "body",
    [
        b'{"y": [1.0, 2.0]}',
        b"[[1.0, 2.0]]",
        b'{"outputs": [{"name": "y", "data": [1.0, 2.0]}]}',
        b'{"outputs": [{"name": "y"}]}' + struct.pack("<2f", 1, 2),
        struct.pack("<2f", 1, 2),
    ],
)
def test_numbers_are_found_in_every_reply(body):
    assert numbers(body, 2).tolist() == [1, 2]


def test_a_reply_without_the_numbers_is_refused():
    with pytest.raises(ValueError, match="3 numbers"):
        numbers(b"[1.0, 2.0, 3.0]", 2)


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_the_client_knows_when_a_reply_is_whole(cut):
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\nContent-Length: 5\r\n\r\nhello"
    assert http_missing(reply) == 0
    assert http_missing(reply[:-cut]) > 0
    assert http_good(reply)
    assert not http_good(reply.replace(b"200", b"503"))
    frame = struct.pack("<4sBBHIII", b"EWF1", 0, 0, 0, 200, 2, 42) + bytes(42)
    assert frame_missing(frame) == 0
    assert frame_missing(frame[:-cut]) > 0
    assert frame_good(frame)
