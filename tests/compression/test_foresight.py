"""Foresight, held against the search that it foresees."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.compression.foresight import foresee
from edgewright.compression.search import Space, Spec, explore
from edgewright.testing.beside import beside

searching = beside(Path(__file__).with_name("test_search.py"))
Judge, ORT, VINO, DROP, score = searching.Judge, searching.ORT, searching.VINO, searching.DROP, searching.score
ORIGINAL = Judge()(Spec((), ORT))


def drive(judge, space, most=8):
    """A whole search, and what was foreseen before each of its steps."""
    known, foreseen, paths = {}, [], explore(space, score)
    spec = next(paths, None)
    while spec is not None:
        foreseen.append(foresee(space, score, known, ORIGINAL, (DROP,), most))
        known[spec.key] = judge(spec)
        try:
            spec = paths.send(known[spec.key])
        except StopIteration:
            spec = None
    return judge.asked, foreseen, known


@settings(max_examples=60, deadline=None)
@given(space=searching.spaces(), least=st.floats(0.0, 1.5), loses=st.sampled_from([{}, {"int8_static": 3.0}]))
def test_the_first_is_what_comes_now_and_nothing_known_is_told(space, least, loses):
    asked, foreseen, _ = drive(Judge(least=least, loses=loses), space)
    for number, (spec, ahead) in enumerate(zip(asked, foreseen, strict=True)):
        keys = [one.key for one in ahead]
        assert keys[0] == spec.key
        assert len(keys) == len(set(keys)) <= 8
        assert not {one.key for one in asked[:number]} & set(keys)


@pytest.mark.parametrize("least", [0.0, 2.0])
def test_where_a_guess_is_right_the_way_is_known_to_its_end(least):
    """Everything keeps its accuracy, or nothing that went narrower or smaller does."""
    loses = dict.fromkeys(searching.NARROW, 50.0) if least else {}
    asked, foreseen, _ = drive(Judge(least=least, loses=loses), Space((ORT, VINO)), most=8)
    told = sum(asked[at + 1].key in {one.key for one in ahead} for at, ahead in enumerate(foreseen[:-1]))
    assert told >= 0.8 * (len(asked) - 1)


def test_when_all_is_known_nothing_comes():
    space = Space((ORT,))
    _, _, known = drive(Judge(), space)
    assert foresee(space, score, known, ORIGINAL, (DROP,), 8) == []


def test_a_spec_goes_through_json():
    asked, _, _ = drive(Judge(), Space((VINO,), attention=True))
    assert [Spec.from_json(one.to_json()).key for one in asked] == [one.key for one in asked]
    assert len({one.key for one in asked}) == len(asked)
