"""Strict JSON has one reading, or none."""

import pytest

from edgewright.core.strict import _unique, parse_json


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"x": {"a": 1, "b": 0, "a": 1}}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "out of range"),
        (b"[9223372036854775808]", "out of range"),
        (b"[" + b"9" * 5000 + b"]", "out of range"),
        (b'"\xff"', "UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\\ud800"', "surrogate"),
        (b"[" * 100_000, "nested"),
        (b"{} {}", "not JSON"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b" " * 200_001, "more than"),
    ],
)
def test_refuses(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(data, 200_000)


def test_reads_the_rest() -> None:
    assert parse_json('{"a": [1, -2.5, null, true, "µ"]}'.encode(), 100) == {"a": [1, -2.5, None, True, "µ"]}


def test_a_key_that_appears_twice_is_found_without_comparing_all_with_all() -> None:
    compared = 0

    class Key(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    pairs = [(Key(number), 0) for number in range(2000)]
    with pytest.raises(ValueError, match="'1999' appears twice"):
        _unique([*pairs, (Key(1999), 0)])
    assert compared < 4 * len(pairs)  # 800 KB of keys took 113 s, and the server's only thread with them
