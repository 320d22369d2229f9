"""A signature speaks for one message, of one kind, by one trusted key."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.errors import TrustError
from edgewright.trust import SigningKey, sign, verify
from edgewright.trust.signatures import pre_authentication_encoding

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
KIND = "application/test"
TRUSTED = [KEY.public]


def test_the_encoding_is_dsse_s_own_example() -> None:
    # secure-systems-lab/dsse, protocol.md, "Test vectors"
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_what_was_signed_verifies_and_the_bytes_are_the_same_each_time(message: bytes) -> None:
    made = sign(message, KIND, KEY)
    assert made == sign(message, KIND, KEY)
    assert verify(message, made, KIND, [OTHER.public, KEY.public]) == KEY.public


@pytest.mark.parametrize(
    ("message", "kind", "trusted", "reason"),
    [
        (b"other", KIND, TRUSTED, "were changed"),
        (b"message", "application/other", TRUSTED, "not one over"),
        (b"message", KIND, [OTHER.public], "not trusted"),
        (b"message", KIND, [], "not trusted"),
    ],
)
def test_anything_else_fails(message: bytes, kind: str, trusted: list[object], reason: str) -> None:
    with pytest.raises(TrustError, match=reason):
        verify(message, sign(b"message", KIND, KEY), kind, trusted)  # type: ignore[arg-type]


def test_a_kind_and_a_message_cannot_trade_bytes() -> None:
    made = json.loads(sign(b"b c", "a", KEY))
    forged = json.dumps({**made, "payloadType": "a b"}, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(TrustError, match="were changed"):
        verify(b"c", forged, "a b", TRUSTED)


def test_a_foreign_signature_under_a_trusted_id_fails() -> None:
    made = json.loads(sign(b"message", KIND, OTHER))
    made["keyid"] = KEY.public.id
    forged = json.dumps(made, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(TrustError, match="were changed"):
        verify(b"message", forged, KIND, TRUSTED)


@settings(deadline=None)
@given(st.data())
def test_no_other_signature_file_verifies(data: st.DataObject) -> None:
    made = bytearray(sign(b"message", KIND, KEY))
    place = data.draw(st.integers(0, len(made) - 1))
    made[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TrustError):
        verify(b"message", bytes(made), KIND, TRUSTED)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: {**v, "schema": "edgewright.signature/2"},
        lambda v: {**v, "sig": v["sig"].upper()},
        lambda v: {**v, "sig": " " + v["sig"]},
        lambda v: {**v, "sig": v["sig"][:-2]},
        lambda v: {**v, "sig": 7},
        lambda v: {**v, "sig": None},
        lambda v: {**v, "keyid": None},
        lambda v: {**v, "extra": 1},
        lambda v: {k: x for k, x in v.items() if k != "sig"},
        lambda v: [v],
        lambda v: "signature",
    ],
)
def test_a_signature_file_has_one_spelling(change: object) -> None:
    made = json.loads(sign(b"message", KIND, KEY))
    forged = json.dumps(change(made), sort_keys=True, separators=(",", ":")).encode() + b"\n"  # type: ignore[operator]
    with pytest.raises(TrustError):
        verify(b"message", forged, KIND, TRUSTED)


def test_a_stranger_s_text_does_not_reach_the_terminal() -> None:
    made = json.loads(sign(b"message", KIND, KEY))
    forged = json.dumps({**made, "keyid": "\x1b[2J\u202e"}).encode()
    with pytest.raises(TrustError) as raised:
        verify(b"message", forged, KIND, TRUSTED)
    assert str(raised.value).isprintable()
    assert "\u202e" not in str(raised.value)


@pytest.mark.parametrize("forged", [b"", b"{}", b"null", b" " * 5000, b'{"a":1,"a":1}', b"\xff", b"[" * 900])
def test_what_is_no_signature_file_fails(forged: bytes) -> None:
    with pytest.raises(TrustError):
        verify(b"message", forged, KIND, TRUSTED)
