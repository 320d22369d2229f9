"""Enrolment tokens let one key in, once, for a while."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.errors import InputError, TrustError
from edgewright.trust.authority import Token, issue_token, redeem

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANCHOR = "ab" * 32


def test_it_is_spelled_and_read_again():
    token, record = issue_token("acme", ANCHOR, NOW)
    assert Token.parse(token.text()) == token
    assert token.text().startswith("ewenrol.") and len(token.text()) < 130
    assert token.anchor == ANCHOR and record.id == token.id


def test_the_secret_is_nowhere_but_in_the_text():
    token, record = issue_token("acme", ANCHOR, NOW)
    for shown in (repr(token), repr(record)):
        assert token.secret.hex() not in shown and repr(token.secret) not in shown
        assert token.text().split(".")[2] not in shown


@given(st.integers(8, 200), st.characters(codec="utf-8"))
def test_a_mistyped_token_is_told_from_a_wrong_one(place, letter):
    token, _ = issue_token("acme", ANCHOR, NOW)
    text = token.text()
    place %= len(text)
    changed = text[:place] + letter + text[place + 1 :]
    if changed != text:
        with pytest.raises(InputError) as caught:
            Token.parse(changed)
        assert token.secret.hex() not in str(caught.value)


@pytest.mark.parametrize("text", ["", "ewenrol", "ewenrol.", "ewenrol....", "x.a.b.c.d", "ewenrol.é.b.c.d", "e" * 9999])
def test_other_texts_are_no_tokens(text):
    with pytest.raises(InputError):
        Token.parse(text)


def test_it_lets_one_key_in():
    token, record = issue_token("acme", ANCHOR, NOW)
    used = redeem(record, token, "press-1", "key", NOW)
    assert used.used_by == "key" and used.used_at == NOW and record.used_by is None
    assert redeem(used, token, "press-1", "key", NOW) == used  # its first answer was lost
    with pytest.raises(TrustError, match="used already"):
        redeem(used, token, "press-1", "another", NOW)


def test_it_expires():
    token, record = issue_token("acme", ANCHOR, NOW, timedelta(hours=1))
    redeem(record, token, "press-1", "key", NOW + timedelta(minutes=59))
    with pytest.raises(TrustError, match="expired"):
        redeem(record, token, "press-1", "key", NOW + timedelta(hours=1))


def test_one_for_a_device_is_for_no_other():
    token, record = issue_token("acme", ANCHOR, NOW, device="press-1")
    assert redeem(record, token, "press-1", "key", NOW).used_by == "key"
    with pytest.raises(TrustError, match="for the device 'press-1'"):
        redeem(record, token, "press-2", "key", NOW)


def test_who_does_not_know_the_secret_learns_nothing():
    token, record = issue_token("acme", ANCHOR, NOW, timedelta(0))
    other, strange = issue_token("acme", ANCHOR, NOW)
    guess = Token(token.id, other.secret, ANCHOR)
    told = []
    for row, shown in ((None, token), (record, guess), (strange, token)):
        with pytest.raises(TrustError) as caught:
            redeem(row, shown, "press-1", "key", NOW)
        told.append(str(caught.value))
    assert len(set(told)) == 1


def test_a_digest_is_bound_to_its_row():
    token, _ = issue_token("acme", ANCHOR, NOW)
    assert Token("00" * 8, token.secret, ANCHOR).digest != token.digest


@pytest.mark.parametrize(("tenant", "device"), [("", None), ("a/b", None), ("acme", "../x")])
def test_bad_names_are_refused(tenant, device):
    with pytest.raises(InputError):
        issue_token(tenant, ANCHOR, NOW, device=device)
