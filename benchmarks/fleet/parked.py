"""Parked polls: how long a fleet takes to connect, what a waiting device costs, how fast news reaches all.

    python benchmarks/fleet/parked.py [--devices 2000] [--rate 400] [--database URL]

The hub's listener runs in one process on core 0, the devices (asyncio, each with a certificate and a TLS 1.3
connection of its own) in this one on core 1; the assignment is written by a third process, as another worker of the
hub would. Printed as JSON; times in s, memory in kB.

Measured on 2026-11-22 (two cores of a virtual machine, others on it, load average 9 to 11; Python 3.11, SQLite):
2,000 devices connected in 30 s at 3.7 ms of the hub's CPU each, 66 kB a parked device (65 kB for each further one), an
assignment of all reached the median device 0.6 s after its commit and the last one after 1.0 s (3.2 s when the machine
was busier); 0.8% of a core while all wait.
"""

from __future__ import annotations

import argparse
import asyncio
import asyncio.sslproto
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import select

from edgewright.core.messages import Release, Sync, render
from edgewright.hub.accounts.people import make_tenant
from edgewright.hub.database import EVERY
from edgewright.hub.fleet.ca import authority
from edgewright.hub.fleet.desired import assign
from edgewright.hub.fleet.enrolling import issue
from edgewright.hub.fleet.tables import Device
from edgewright.hub.listener import Listener, raise_limit
from edgewright.hub.serving import Address, bind
from edgewright.hub.state import open_state
from edgewright.trust.authority import check_request, client_context, make_request, write_private
from edgewright.trust.authority.material import key_pem, new_key

BUNDLE = "ab" * 32


def pin(core):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def serve(folder, url):
    pin(0)
    raise_limit()
    with open_state(folder, url) as state:
        listening = bind(Address("127.0.0.1", 0))
        with Listener(state, listening, ["localhost", "127.0.0.1"]):
            print(f"https://127.0.0.1:{listening.getsockname()[1]}", flush=True)
            sys.stdin.read()


def assign_all(folder, url, rollout):
    with open_state(folder, url) as state:
        with state.database.read(EVERY) as session:
            rows = session.execute(select(Device.tenant, Device.name)).all()
        began = time.time()
        with state.database.write(rows[0][0]) as session:
            assign(session, {name: Release(rollout, BUNDLE, activate=True) for _, name in rows})
        print(json.dumps({"began": began, "committed": time.time()}), flush=True)


def make_devices(folder, url, count, home):
    """Devices with certificates of one key: keys take long to make, and are not what is measured."""
    key = new_key()
    request = check_request(make_request(key))
    with open_state(folder, url) as state:
        tenant, _ = make_tenant(state, "bench", "owner")
        ours, now = authority(state), state.clock()
        with state.database.write(tenant) as session:
            for number in range(count):
                name = f"device-{number}"
                told = {"labels": {}, "facts": {}, "config": {}, "collect": {}, "status": {}}
                device = Device(name=name, revision=0, made=now, changed=now, **told)
                session.add(device)
                issued = issue(session, ours, name, request, now)
                device.serial = issued.peer.serial
                write_private(home / name, key_pem(key) + issued.chain)
        return ours.anchors


class Client:
    def __init__(self, url, context):
        self.host, self.port, self.context, self.revision = "127.0.0.1", urlsplit(url).port, context, 0

    async def connect(self):
        began = time.time()
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, ssl=self.context)
        self.took = time.time() - began

    async def sync(self, wait):
        body = render(Sync(self.revision, "b1"))
        head = f"POST /device/v1/sync?wait={wait} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head.split()[1])
        length = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        told = await self.reader.readexactly(length[0]) if length else b""
        if status == 200:
            self.revision = json.loads(told)["revision"]
        return status, time.time()


def kilobytes(process):
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


def processor_s(process):
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def fleet(arguments, server, url, anchors, home, folder):
    told = {"devices": arguments.devices}
    clients = [Client(url, client_context(home / f"device-{n}", anchors)) for n in range(arguments.devices)]
    empty_kb, began_cpu, began = kilobytes(server), processor_s(server), time.time()
    waiting, room = [], asyncio.Semaphore(64)
    for number, client in enumerate(clients):
        await asyncio.sleep(max(0.0, began + number / arguments.rate - time.time()))
        waiting.append(asyncio.create_task(arrive(client, room)))
    polls = await asyncio.gather(*waiting)
    await asyncio.sleep(3)
    told["connected_s"] = round(max(at for at, _ in polls) - began, 2)
    told["handshake_p95_s"] = round(statistics.quantiles([c.took for c in clients], n=20)[-1], 3)
    told["cpu_per_device_ms"] = round((processor_s(server) - began_cpu) / len(clients) * 1000, 2)
    told["kb_per_device"] = round((kilobytes(server) - empty_kb) / len(clients), 1)
    polls = [poll for _, poll in polls]
    for turn in (1, 2):
        words = [sys.executable, __file__, "--assign", f"r{turn}", "--folder", str(folder)]
        other = await asyncio.create_subprocess_exec(*words, "--database", arguments.database, stdout=-1)
        line = json.loads(await other.stdout.readline())
        answers = await asyncio.gather(*polls)
        late = sorted(at - line["committed"] for _, at in answers)
        assert all(status == 200 for status, _ in answers), {status for status, _ in answers}
        told[f"assigned_{turn}"] = {
            "written_s": round(line["committed"] - line["began"], 2), "median_s": round(statistics.median(late), 2),
            "last_s": round(late[-1], 2),
        }  # fmt: skip
        polls = [asyncio.create_task(client.sync(60)) for client in clients]
        await asyncio.sleep(4)
    idle = processor_s(server)
    await asyncio.sleep(5)
    told["idle_cpu_percent"] = round((processor_s(server) - idle) / 5 * 100, 1)
    for poll in polls:
        poll.cancel()
    await asyncio.gather(*polls, return_exceptions=True)
    return told


async def arrive(client, room):
    async with room:  # as many at once as this one core can shake hands with
        await client.connect()
        await client.sync(0)
    at = time.time()
    return at, asyncio.create_task(client.sync(60))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=400.0, help="new connections a second")
    parser.add_argument("--database", default="")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--assign", default="")
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.folder, arguments.database)
    if arguments.assign:
        return assign_all(arguments.folder, arguments.database, arguments.assign)
    raise_limit()
    asyncio.sslproto.SSLProtocol.max_size = 2**14
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name) / "hub", Path(name) / "devices"
        home.mkdir()
        anchors = make_devices(folder, arguments.database, arguments.devices, home)
        words = [sys.executable, __file__, "--serve", "--folder", str(folder), "--database", arguments.database]
        server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip()
            pin(1)
            print(json.dumps(asyncio.run(fleet(arguments, server.pid, url, anchors, home, folder)), indent=1))
        finally:
            server.stdin.close()
            server.wait(60)
    return None


if __name__ == "__main__":
    main()
