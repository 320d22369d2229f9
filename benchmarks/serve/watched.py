"""A server whose desk writes down what became of each request, as the server sees it.

    python watched.py http  WHO MODEL PORT OUT                    serves until SIGTERM
    python watched.py inside WHO MODEL SCHEDULE OUT               asks itself, by the schedule in an .npz
    python watched.py saturate WHO MODEL SECONDS OUT              asks itself, one after the other, without deadlines

WHO is ``edgewright`` or ``firstcome``. OUT becomes an .npz of ``arrivals.Fates``' fields.
"""

from __future__ import annotations

import gc
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from edgewright.runtime import Runtime, service, serving
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Expired, Fault, Infeasible, NotReady, Overloaded
from serve.arrivals import EXPIRED, FAILED, OK, REFUSED
from serve.firstcome import FirstCome
from serve.onnxfiles import CNN

_now = time.perf_counter
SWITCH_S = 0.0005  # as Edgewright's server sets it: the generator's thread and the executor's share one interpreter


class Watched(Desk):
    """The desk, with a book."""

    book: list[tuple[float, float, float, int]] = []  # noqa: RUF012 - one for the process

    def later(self, served: Any, inputs: Any, done: Any, timeout_s: float | None = None, *more: Any) -> Any:
        came, limit = _now(), np.inf if timeout_s is None else timeout_s

        def seen(outputs: Any, fault: Fault | None) -> None:
            self.book.append((came, _now(), limit, _code(fault)))
            done(outputs, fault)

        try:
            return super().later(served, inputs, seen, timeout_s, *more)
        except Fault as fault:
            # Told at the door: not let in, also where its deadline had passed by then.
            self.book.append((came, _now(), limit, REFUSED if isinstance(fault, Expired) else _code(fault)))
            raise


def _code(fault: Fault | None) -> int:
    if fault is None:
        return OK
    if isinstance(fault, Expired):
        return EXPIRED
    return REFUSED if isinstance(fault, Infeasible | Overloaded | NotReady) else FAILED


def write(out: Path) -> None:
    came, ended, limit, code = (np.array(column) for column in zip(*Watched.book, strict=True))
    np.savez(out, came=came, ended=ended, limit=limit, code=code.astype(np.int64))


def over_http(who: str, model: Path, port: int, out: Path) -> None:
    """Serve. The only differences to ``edgewright serve`` are the book, and the scheduler of the baseline."""
    service.Desk = Watched  # type: ignore[misc]
    if who == "firstcome":
        service.Scheduler = FirstCome  # type: ignore[misc,assignment]
    serving.main(["--models-dir", str(model), "--http", f"127.0.0.1:{port}"])
    write(out)


def inside(who: str, model: Path, schedule: Path, out: Path) -> None:
    """Ask by the schedule: one thread asks, the executor answers."""
    drawn = np.load(schedule)
    feed = {"x": CNN.sample()}
    sys.setswitchinterval(SWITCH_S)
    with Runtime(model) as runtime:
        gc.collect()
        gc.freeze()  # as the server does, and as the runtime's page advises programs that keep deadlines
        scheduler = FirstCome() if who == "firstcome" else runtime.scheduler
        served, desk = runtime.repository.find(), Watched(scheduler)  # type: ignore[arg-type]
        begin = _now() + 0.05
        for due, limit in zip(drawn["due"].tolist(), drawn["limit"].tolist(), strict=True):
            while (wait := begin + due - _now()) > 0:
                time.sleep(wait)
            with suppress(Fault):  # it is in the book
                # From when it was due: what the generator itself was late counts as well.
                desk.later(served, feed, lambda outputs, fault: None, limit - (_now() - begin - due))
        scheduler.close()
    write(out)


def saturate(model: Path, seconds: float, out: Path) -> None:
    """Answers a second when each waits for the one before."""
    feed, times = {"x": CNN.sample()}, []
    with Runtime(model) as runtime:
        end = _now() + seconds
        while (begin := _now()) < end:
            runtime.infer(feed)
            times.append(_now() - begin)
    np.savez(out, seconds=np.array(times))


def main() -> None:
    how, who, model, given, out = sys.argv[1:]
    if how == "http":
        over_http(who, Path(model), int(given), Path(out))
    elif how == "inside":
        inside(who, Path(model), Path(given), Path(out))
    else:
        saturate(Path(model), float(given), Path(out))


if __name__ == "__main__":
    main()
