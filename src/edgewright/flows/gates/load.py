"""Load: seconds of calls without a pause end in no error, no other answer, no growing memory and no slowing down."""

from __future__ import annotations

from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding, failed, passed, unchecked
from edgewright.measurement.load import LoadResult, sustain

SECONDS = 2.5
FEWEST = 100
LEAK_BYTES = 2**20
"""Growth over the second half of the run below which a slope is an allocator's, not a leak's."""
SLOWER = 1.5


def judge(found: LoadResult) -> Finding:
    """Processor time tells a call that became dearer from a machine that became busier."""
    evidence = found.to_json()
    if found.errors:
        return failed(f"call {found.calls + 1:,} failed: {found.errors[0]}", **evidence)
    told = f"{found.calls:,} calls in {found.seconds:.2g} s"
    if found.other_answers:
        return failed(f"{told}: {found.other_answers} of {found.checked} answers looked at had changed", **evidence)
    if found.growth is not None and found.grown_bytes is not None:
        if found.growth.low > 0 and found.grown_bytes > LEAK_BYTES:
            return failed(
                f"{told}: memory grew by {found.grown_bytes / 2**20:.2g} MiB over the second half and went on growing "
                f"({found.growth.value / 1024:.3g} KiB in a thousand calls)",
                **evidence,
            )
        grown = found.grown_bytes / 2**20
        memory = f"memory grew by {grown:.2g} MiB and no further" if grown > 0.05 else "memory did not grow"
    else:
        memory = "memory could not be watched here"
    first, last = found.work_ms
    slower = last / first if first > 0 else 1.0
    if slower > SLOWER and found.calls >= FEWEST:
        return failed(f"{told}: a call took {slower:.2g} times the processor time at the end", **evidence)
    if found.calls < FEWEST:
        return unchecked(f"only {told} fitted into the time; they ended well", **evidence)
    return passed(f"{told} without an error; {memory}; calls at the end took {slower:.2g} times the first", **evidence)


def check(case: Case) -> Finding:
    """Put the candidate under load in this process, if this machine is the target."""
    if not case.here:
        return unchecked(case.elsewhere)
    seconds = case.box(SECONDS).left
    return judge(sustain(case.session(case.candidate), case.result.inputs, duration_s=seconds))
