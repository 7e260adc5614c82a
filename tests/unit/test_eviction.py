"""What a full frame cache keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from viubench.schema import content_hash
from viubench.video.eviction import UNUSED_SECONDS, Entry, victims

NAMES = [f"{content_hash(number)}.frames" for number in range(600)]


def hits_of_a_second_pass(room: int) -> float:
    """Entries of one size asked for twice in the same order, one a second, of which `room` fit: the share that the
    second pass finds."""
    store: dict[str, float] = {}
    found, now = 0, 0.0
    for _ in range(2):
        found = 0
        for name in NAMES:
            now += 1
            found += name in store
            new = name not in store
            store[name] = now
            if new:
                for gone in victims([Entry(*one) for one in sized(store)], room, now, keep=name):
                    del store[gone]
    assert len(store) == room
    return found / len(NAMES)


def sized(store: dict[str, float]) -> list[tuple[str, int, float]]:
    return [(name, 1, used) for name, used in store.items()]


def test_the_second_checkpoint_finds_the_share_that_fits() -> None:
    """Of what is asked for in order, 200 of 600 fit; the least recently used out first would leave none of them."""
    assert hits_of_a_second_pass(200) >= 200 / 600 - 0.02
    assert hits_of_a_second_pass(600) == 1.0


def test_what_no_run_used_for_days_goes_first_and_the_oldest_of_it_before() -> None:
    now = 10 * UNUSED_SECONDS
    entries = [Entry("a", 10, 5.0), Entry("b", 10, 3.0), Entry("z", 10, now - 1)]
    assert victims(entries, 20, now) == ["b"]
    assert victims(entries, 10, now) == ["b", "a"]


def test_what_was_just_decoded_stays_until_nothing_else_is_left() -> None:
    entries = [Entry(name, 1, float(used)) for used, name in enumerate("abcxyz")]
    assert victims(entries, 5, 10.0, keep="z") == ["y"]
    wide = [Entry(f"{used:03}", 1, float(used)) for used in range(200)]
    assert set(victims(wide, 100, 200.0)).isdisjoint({"198", "199"}), "two of a hundred are in flight"


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1e6)), max_size=30), st.integers(0, 400), st.floats(0, 1e6))
def test_the_rest_fits_and_nothing_goes_without_need(drawn: list[tuple[int, float]], limit: int, now: float) -> None:
    entries = [Entry(NAMES[at], size, used) for at, (size, used) in enumerate(drawn)]
    keep = entries[0].name if entries else ""
    gone = victims(entries, limit, now, keep=keep)
    left = [entry for entry in entries if entry.name not in gone]
    assert keep not in gone
    assert sum(entry.size for entry in left) <= limit or [entry.name for entry in left] == [keep][: len(left)]
    if gone:
        last = next(entry.size for entry in entries if entry.name == gone[-1])
        assert sum(entry.size for entry in left) + last > limit
