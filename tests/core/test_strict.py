"""Strict JSON has one reading, or none."""

import pytest

from edgewright.core.strict import parse_json


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
