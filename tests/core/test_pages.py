"""Large pieces of memory that a library takes come to lie in huge pages, and no others are touched."""

import ctypes
import mmap
import platform
from pathlib import Path

import pytest

from edgewright.core.pages import _anonymous, huge_pages

HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
MB = 1 << 20


def release():
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


def there(start):
    """KiB in huge pages of the mapping that holds this address."""
    inside, found = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first:
            low, high = (int(value, 16) for value in first.split("-"))
            inside = low <= start < high
        elif inside and first == "AnonHugePages:":
            found += int(line.split()[1])
    return found


def filled(size):
    made = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    made.write(b"x" * size)
    return made, ctypes.addressof(ctypes.c_char.from_buffer(made))


@pytest.mark.skipif(
    not HUGE.exists() or "[never]" in HUGE.read_text() or release() < (6, 1), reason="no huge pages on demand here"
)
def test_what_was_allocated_inside_lies_in_huge_pages_and_holds_what_it_held():
    with huge_pages():
        made, start = filled(16 * MB)
    assert there(start) >= 8 * 1024
    assert made[:] == b"x" * (16 * MB)


def test_what_was_there_before_is_left_alone():
    before, start = filled(16 * MB)
    ours = [span for span in _anonymous() if span[0] <= start < span[1]]
    seen = there(start)
    with huge_pages():
        pass
    assert there(start) == seen and len(ours) == 1
    assert before[:1] == b"x"


def test_a_failure_inside_is_the_callers():
    with pytest.raises(ZeroDivisionError), huge_pages():
        raise ZeroDivisionError
