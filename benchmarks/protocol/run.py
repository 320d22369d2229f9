"""The conformance suite against the servers that the protocol comes from, and their own clients against ours.

    python benchmarks/protocol/run.py [--only SERVER]

The servers' environments are made on first use (from PyPI; kept under ``benchmarks/serve/.envs``). Every check runs
with eight models that answer with what they were asked, one for each kind of tensor; a server that a check ends is
started again. Writes ``results/<date>.json`` and ``.md``. Some five minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from serve.peers import environments
from serve.processes import Server, free_ports, wait_ready

from edgewright.core.files import write_file
from edgewright.testing.oip import CHECKS, Result
from edgewright.testing.oip.case import Case
from edgewright.testing.oip.runner import discover, run
from edgewright.testing.oip.wire import Target
from protocol import models
from protocol.subjects import HERE, REGIONS, SUBJECTS, Subject

TIMEOUT_S = 3.0
Found = dict[str, dict[str, Result]]
"""Results by model and check."""


class Place:
    """A subject's server, started again where a check has ended it."""

    def __init__(self, subject: Subject, folder: Path) -> None:
        self._subject, self._folder = subject, folder
        self.port = free_ports(3)
        self.target = Target.parse(f"http://127.0.0.1:{self.port}")
        self._server = self._start()

    def _start(self) -> Server:
        command, environment = self._subject.start(self._folder, self.port)
        server = Server(command, self._folder / f"{self._subject.name}.log", environment)
        try:
            wait_ready(server, lambda: all(self._ready(name) for name in models.ECHOES))
        except BaseException:
            server.close()
            raise
        return server

    def _ready(self, name: str) -> bool:
        return Case(self.target, name, (), TIMEOUT_S).ask("GET", f"/v2/models/{name}/ready").status == 200

    def revive(self) -> None:
        if not Case(self.target, "", (), TIMEOUT_S).there():
            self._server.close()
            self._server = self._start()

    def close(self) -> None:
        self._server.close()
        for left in Path("/dev/shm").glob(f"{REGIONS}*"):
            left.unlink()


@contextmanager
def placed(subject: Subject, folder: Path) -> Iterator[Place]:
    place = Place(subject, folder)
    try:
        yield place
    finally:
        place.close()


def checked(subject: Subject, folder: Path) -> Found:
    """All checks with all models."""
    found: Found = {}
    with placed(subject, folder) as place:
        told, _ = discover(place.target, TIMEOUT_S)
        for name in models.ECHOES:
            case = Case(place.target, name, [*told.get("extensions", []), *subject.extensions], TIMEOUT_S)
            found[name] = {}
            for result in run(case):
                found[name][result.check.name] = result
                if result.outcome == "failed":
                    place.revive()
    return found


def summary(subject: Subject, found: Found) -> dict[str, Any]:
    """A check counts as failed when it failed with a model, as not applicable when it was skipped with all."""
    outcomes = {name: {found[model][name].outcome for model in found} for name in CHECKS}
    failed = [name for name, seen in outcomes.items() if "failed" in seen]
    skipped = [name for name, seen in outcomes.items() if seen == {"skipped"}]
    return {
        "server": subject.name, "version": subject.version(), "checks": len(CHECKS),
        "passed": len(CHECKS) - len(failed) - len(skipped), "failed": len(failed), "not applicable": len(skipped),
        "failures": [_failure(name, found) for name in failed],
    }  # fmt: skip


def _failure(name: str, found: Found) -> dict[str, Any]:
    where = [model for model in found if found[model][name].outcome == "failed"]
    check = CHECKS[name]
    return {"check": name, "title": check.title, "clause": check.clause, "models": where,
            "why": found[where[0]][name].why}  # fmt: skip


def clients(folder: Path) -> list[str]:
    """What the clients of the others say of our server and of Triton's, a line for each."""
    lines = []
    for subject in SUBJECTS[:2]:
        with placed(subject, folder) as place:
            http, grpc = f"127.0.0.1:{place.port}", f"127.0.0.1:{place.port + 1}"
            for command in (
                [sys.executable, HERE / "triton_clients.py", http, grpc, "one"],
                [environments.python_of("kserve"), HERE / "kserve_clients.py", f"http://{http}", grpc, *models.ECHOES],
            ):
                told = subprocess.run(command, capture_output=True, text=True, timeout=300)
                lines += [f"{subject.name}: {' '.join(line.split())}" for line in told.stdout.splitlines()]
                if not told.stdout:
                    lines.append(f"{subject.name}: {told.stderr[-300:]}")
    return lines


def table(rows: list[dict[str, Any]], said: list[str]) -> str:
    """To read."""
    keys = ("server", "version", "passed", "failed", "not applicable")
    lines = [f"| {' | '.join(keys)} |", f"|{'---|' * len(keys)}"]
    lines += [f"| {' | '.join(str(row[key]) for key in keys)} |" for row in rows]
    for row in rows:
        if row["failures"]:
            lines += ["", f"## {row['server']} {row['version']}", "", "| check | what | clause | models | found |",
                      "|---|---|---|---|---|"]  # fmt: skip
            for one in row["failures"]:
                where = "all" if len(one["models"]) == len(models.ECHOES) else ", ".join(one["models"])
                why = " ".join(one["why"].split())[:160].replace("|", "\\|")
                lines.append(f"| {one['check']} | {one['title']} | {one['clause']} | {where} | `{why}` |")
    lines += ["", "## Clients", "", *[f"- {line}" for line in said]]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="SERVER", help="that server, and no clients")
    chosen = parser.parse_args().only
    rows, said = [], []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        models.write(folder)
        for subject in SUBJECTS:
            if not chosen or subject.name in chosen:
                rows.append(summary(subject, checked(subject, folder)))
                print(*(rows[-1][key] for key in ("server", "version", "passed", "failed", "not applicable")), sep=", ")
        if not chosen:
            said = clients(folder)
            print(*said, sep="\n")
    if not chosen:
        place = HERE / "results" / f"{datetime.now(UTC):%Y-%m-%d}"
        place.parent.mkdir(exist_ok=True)
        write_file(
            place.with_suffix(".json"), json.dumps({"servers": rows, "clients": said}, indent=1).encode() + b"\n"
        )
        write_file(place.with_suffix(".md"), f"# Conformance, {place.name}\n\n{table(rows, said)}".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
