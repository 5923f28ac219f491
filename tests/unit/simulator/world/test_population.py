"""Populations: functions from an index to a time and an id."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from stripe_simulator.world.ids import IdCodec
from stripe_simulator.world.links import SpreadLink
from stripe_simulator.world.population import SPAN, Population

UNTIL = 1_790_000_000
counts = st.integers(1, 3_000_000)


def population(count: int, seed: int = 1) -> Population:
    return Population("customer", IdCodec("cus_", seed), count, seed=seed, account_id="acct_1", until=UNTIL)


@given(counts, st.integers(0, 50), st.data())
def test_created_never_falls_and_keeps_within_three_years(count, seed, data):
    objects = population(count, seed)
    index = data.draw(st.integers(0, count - 1))
    later = data.draw(st.integers(index, count - 1))
    assert UNTIL - SPAN <= objects.created(index) <= objects.created(later) <= UNTIL


@given(counts, st.data())
def test_the_first_since_a_time_is_the_first(count, data):
    objects = population(count)
    time = data.draw(st.integers(UNTIL - SPAN - 5, UNTIL + 5))
    first = objects.first_since(time)
    assert first == count or objects.created(first) >= time
    assert first == 0 or objects.created(first - 1) < time


def test_some_weeks_are_far_denser_than_others():
    objects = population(100_000)
    week = 7 * 86_400
    edges = [objects.first_since(time) for time in range(UNTIL - SPAN, UNTIL, week)]
    weeks = [after - before for before, after in pairwise(edges)]
    assert max(weeks) > 4 * min(weeks)


@given(st.integers(0, 2**40), st.sampled_from(["cus_", "sub_", "in_", ""]))
def test_an_id_leads_back_to_its_position(position, prefix):
    codec = IdCodec(prefix, "names")
    identifier = codec.encode(position)
    assert codec.decode(identifier) == position
    assert identifier.startswith(prefix)
    assert IdCodec(prefix, "others").decode(identifier) != position


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 200), st.integers(0, 1000), st.booleans())
def test_who_points_to_a_target_is_found_without_a_search(count, targets, seed, some_hidden):
    hidden = {3, 4, 17} if some_hidden and targets > 20 else set()
    link = SpreadLink(count, targets, seed, is_skipped=lambda target: target in hidden)
    pointing: dict[int, set[int]] = {}
    for index in range(count):
        pointing.setdefault(link.target(index), set()).add(index)
    assert not hidden & pointing.keys()
    for target, sources in pointing.items():
        candidates = {index for progression in link.sources(target) for index in progression}
        assert sources <= candidates
