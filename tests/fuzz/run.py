"""Fuzz what reads bytes from outside for as long as one likes; the suite runs the same targets for a second each.

    python tests/fuzz/run.py connection --seconds 600          # from the seeds, by chance
    python tests/fuzz/run.py connection --atheris -runs=1000000 # libFuzzer, in an environment that has atheris

A finding is printed with the bytes that led to it; put them into a test before mending it.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from edgewright.testing import hostile


def changed(data: bytes, made: random.Random, seeds: list[bytes]) -> bytes:
    """``data`` with a few pieces cut, repeated, flipped, or taken from another seed."""
    out = bytearray(data)
    for _ in range(made.randrange(1, 6)):
        place, size = made.randrange(len(out) + 1), made.randrange(9)
        other = made.choice(seeds)
        begin = made.randrange(len(other) + 1)
        piece = made.choice((
            b"", made.randbytes(size), other[begin : begin + made.randrange(64)], bytes(out[place : place + 32]) * 2,
            made.choice((b"\r\n", b"\0", b"0", b"-1", b"9" * made.randrange(1, 30), b"[" * size, b"{", b'"', b",")),
        ))  # fmt: skip
        out[place : place + size] = piece
    return bytes(out[:65536])


def main() -> int:
    """Exit status 1 for a finding."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=hostile.TARGETS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    arguments, rest = parser.parse_known_args()
    target, seeds = hostile.TARGETS[arguments.target], list(hostile.SEEDS[arguments.target])
    if arguments.atheris:
        import atheris

        atheris.instrument_all()
        folder = Path(tempfile.mkdtemp(prefix="edgewright-fuzz-"))
        for number, seed in enumerate(seeds):
            (folder / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *rest, str(folder)], target)
        atheris.Fuzz()
        return 0
    made, end, runs = random.Random(arguments.seed), time.monotonic() + arguments.seconds, 0
    kept = list(seeds)
    while time.monotonic() < end:
        data = changed(made.choice(kept), made, seeds)
        begin = time.monotonic()
        try:
            target(data)
        except Exception:
            print(f"finding after {runs} runs: {data!r}")
            raise
        if time.monotonic() - begin > 5:
            print(f"a hang of {time.monotonic() - begin:.1f} s: {data!r}")
            return 1
        runs += 1
        if made.random() < 0.02:  # walk away from the seeds, but not for ever
            kept = [*kept[-200:], data, *seeds]
    print(f"{arguments.target}: {runs} runs, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
