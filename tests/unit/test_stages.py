"""Seconds of overlapping samples, and the time a stage stands empty, by a clock that is told what to say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.runner.timing import Stages


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_samples_that_overlap_count_once_by_the_clock() -> None:
    clock = Clock()
    stages = Stages(clock)
    stages.open()
    clock.now = 2.0
    with stages.at("engine"):
        clock.now = 3.0
        with stages.at("engine"):
            clock.now = 5.0
        clock.now = 6.0
    clock.now = 7.0
    with stages.at("engine"):
        clock.now = 8.0
    stage = stages.stages["engine"]
    assert (stage.entered, stage.seconds, stage.occupied) == (3, 7.0, 5.0)
    assert stages.wall == 8.0
    assert stages.idle() == pytest.approx(3 / 8)
    assert "3 answers in 8.0 s" in stages.summary()
    assert "engine idle 38 %" in stages.summary()


def test_a_sample_that_fails_leaves_its_stage() -> None:
    clock = Clock()
    stages = Stages(clock)
    stages.open()
    stay = stages.at("engine")
    stay.__enter__()
    clock.now = 1.0
    assert not stay.__exit__(ValueError, ValueError("bad"), None), "the error goes on"
    assert stages.stages["engine"].inside == 0
    assert stages.idle() == 0


def test_a_run_without_answers_has_no_summary() -> None:
    stages = Stages(Clock())
    stages.open()
    assert stages.summary() == ""
    assert stages.idle() == 1


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=12))
def test_occupied_time_is_the_union_of_the_stays(stays: list[tuple[int, int]]) -> None:
    clock = Clock()
    stages = Stages(clock)
    stages.open()
    events = sorted(
        [(at, 1, k) for k, (at, _) in enumerate(stays)] + [(at + d, 0, k) for k, (at, d) in enumerate(stays)]
    )
    open_ones = {}
    for at, enters, k in events:
        clock.now = float(at)
        if enters:
            open_ones[k] = stages.at("engine")
            open_ones[k].__enter__()
        else:
            open_ones.pop(k).__exit__(None, None, None)
    covered = {second for at, d in stays for second in range(at, at + d)}
    assert stages.stages["engine"].occupied == len(covered)
    assert stages.stages["engine"].seconds == sum(d for _, d in stays)
