"""A contest counts and compares what it says: times, processor seconds outside the engine core, what was seen."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.bench import peers, standings, usage
from tests.bench.__main__ import app
from tests.bench.contestant import Work
from viubench.errors import ViubenchError

SETTINGS = peers.PeerSettings(questions=(1, 3), sides=("vllm", "bench_serve"))


def row(side: str, questions: int, ran: str, seconds: float, ratio: float | None = None, **more: Any) -> peers.PeerRow:
    return peers.PeerRow(side, questions, ran, seconds, 2 * seconds, 48, 900, ratio=ratio, **more)


def ours(questions: int, cold: float, warm: float, again: float, decode: float) -> list[peers.PeerRow]:
    passes = {"cold": cold, "warm": warm, "next": again, "decode": decode}
    return [row("viubench", questions, ran, seconds, vision=1024.0) for ran, seconds in passes.items()]


ROWS = [
    *ours(3, 8.0, 1.0, 3.0, 5.0),
    row("vllm_generate", 3, "cold", 40.0, 5.0, front_ratio=4.5, vision=1024.0, unequal=0),
    row("vllm_generate", 3, "warm", 30.0, 30.0, front_ratio=9.0, vision=1024.0, unequal=0),
    *ours(10, 12.0, 2.0, 8.0, 5.0),
    row("vllm_generate", 10, "cold", 120.0, 10.0, front_ratio=4.0, vision=1024.0, unequal=0),
]


def one(name: str, seconds: float, cpu: float, core: float | None, answers: list[str], vision: list[int]) -> Any:
    return {"name": name, "seconds": seconds, "cpu": cpu, "core": core, "peak_mb": 900.4} | {
        "answers": answers, "vision": vision,
    }  # fmt: skip


def test_the_headline_is_the_ratio_of_the_pass_it_names() -> None:
    assert standings.ratios(ROWS) == {
        "vllm_generate": {"cold": 5.0, "warm": 30.0, "ten": 10.0, "front cold": 4.0, "front warm": 9.0}
    }
    assert standings.fronts(ROWS) == [
        "vllm_generate: its front end costs at least 4.0 times ours cold, 9.0 times warm."
    ]


def test_the_floor_is_what_decoding_and_the_engine_cost_on_the_cores_there_are() -> None:
    """A pass here keeps two cores busy: what takes both in turn cannot overlap on two, and can on four."""
    first, second = standings.floors(ROWS, cores=2)
    assert (first["questions"], first["larger"], first["busy"]) == (3, 1.6, 2.0)
    assert (first["floor"], first["left"], first["vllm_generate / floor"]) == (8.0, 0.0, 5.0)
    assert (second["larger"], second["floor"]) == (1.5, 13.0)
    first, second = standings.floors(ROWS, cores=4)
    assert (first["floor"], first["left"], first["vllm_generate / floor"]) == (5.0, 0.375, 8.0)
    assert second["floor"] == 8.0


def test_a_side_is_compared_with_ours_answer_by_answer_and_without_the_core() -> None:
    own = one("cold", 2.0, 3.0, 2.5, ["a", "b", "c", "d"], [512] * 4)
    found = peers._row("vllm", 1, one("cold", 5.0, 6.0, 2.0, ["a", "x", "c", "y"], [512, 512, 514, 514]), own)
    assert (found.ratio, found.front, found.front_ratio) == (2.5, 4.0, 8.0)
    assert (found.same, found.vision, found.unequal, found.peak_mb) == (0.5, 513.0, 2, 900)
    decode = peers._row("viubench", 1, one("decode", 2.0, 3.0, None, [], []), None)
    assert (decode.front, decode.ratio, decode.vision) == (None, None, None)


@pytest.mark.parametrize(("theirs", "count"), [([4, 5, 6], 0), ([6, 5, 4], 0), ([4, 4, 6], 1), ([4, 5], 1), ([], 3)])
def test_prompts_of_equal_means_are_not_equal_prompts(theirs: list[int], count: int) -> None:
    assert peers.unequal(theirs, [4, 5, 6]) == count
    assert peers.unequal([1, 9], [5, 5]) == 2


def test_what_every_side_saw_is_told() -> None:
    assert standings.sight(ROWS) == ["Equal vision tokens in every prompt: viubench, vllm_generate."]
    less = row("vllm", 3, "cold", 40.0, 5.0, vision=568.0, unequal=48)
    equal, told = standings.sight([*ROWS, less])
    assert equal.endswith("viubench, vllm_generate.")
    assert "vllm has other vision tokens than ours in 48 of 48 prompts" in told
    assert "568 a question against 1,024 of ours" in told


def test_the_table_shows_the_front_end_and_who_was_left_out() -> None:
    shown = standings.table(
        [*ROWS, row("vllm", 3, "cold", 4.0, 0.5, front=3.21)], {"evalscope": "no module"}, SETTINGS, 2
    )
    assert "3.21" in shown
    assert "front ratio" in shown
    assert "\nLeft out: evalscope (no module).\n" in shown


def contest(
    monkeypatch: pytest.MonkeyPatch, failing: tuple[str, ...]
) -> tuple[list[peers.PeerRow], dict[str, str], list[str]]:
    tried = []

    def alone(work: Work) -> list[Any]:
        tried.append(f"{work.side} {len(work.questions)}")
        if work.side in failing:
            raise ViubenchError(f"{work.side} failed: a warning\nit is not installed")
        return [one(name, 2.0, 3.0, 1.0, ["a"], [8]) for name in ("cold", "warm")]

    monkeypatch.setattr(peers, "_alone", alone)
    rows, left = peers.contest([Path("a.mp4"), Path("w.mp4")], "tiny", SETTINGS, lambda _: None)
    return rows, left, tried


def test_a_side_that_cannot_run_is_left_out_and_its_reason_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, left, tried = contest(monkeypatch, ("vllm",))
    assert left == {"vllm": "1 questions a clip: it is not installed"}
    assert tried == ["viubench 1", "vllm 1", "bench_serve 1", "viubench 3", "bench_serve 3"]
    assert {found.side for found in rows} == {"viubench", "bench_serve"}


def test_a_contest_needs_ours_and_another_side(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ViubenchError, match="viubench failed"):
        contest(monkeypatch, ("viubench",))
    with pytest.raises(ViubenchError, match="no other side could answer") as error:
        contest(monkeypatch, ("vllm", "bench_serve"))
    assert "bench_serve: 1 questions a clip: it is not installed" in str(error.value.hint)


def test_a_side_that_does_not_exist_is_refused() -> None:
    done = CliRunner().invoke(app, ["peers", "--videos", ".", "--sides", "vllm,vlm"])
    assert isinstance(done.exception, ViubenchError)
    assert "vlm" in done.exception.message


def test_questions_of_a_clip_are_asked_side_by_side() -> None:
    work = Work("viubench", "m", ("a.mp4", "b.mp4"), "w.mp4", ("first?", "second?"), 32, 65536, 16, 2)
    assert [clip for clip, _ in work.asked()] == ["a.mp4", "a.mp4", "b.mp4", "b.mp4"]


COUNT = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read line"


def counting(title: str) -> subprocess.Popen[bytes]:
    """A process of that title that has worked a little, and waits."""
    child = subprocess.Popen([title, "-c", COUNT], executable="/bin/sh", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"done\n"
    return child


def test_seconds_of_the_engine_core_are_told_from_all_others() -> None:
    before = usage.used()
    assert before.core is None
    with counting("sh") as other:
        front = usage.used() - before
        assert front.core is None
        with counting("VLLM::EngineCore_DP0") as core:
            both = usage.used() - before
            core.communicate(b"\n")
        other.communicate(b"\n")
    after = usage.used() - before
    assert both.core is not None
    assert 0 < both.core < both.total
    rounding = 1e-6  # seconds are differences of sums, ticks of the kernel's clock are 1e-2
    assert front.total > 0
    assert both.total - both.core >= front.total - rounding, "what the other one used"
    assert after.core is None
    assert after.total >= both.total - rounding, "processes that were waited for still count"


def test_memory_is_that_of_the_largest_process_outside_the_core() -> None:
    assert usage.front_peak_mb() == pytest.approx(usage.machine.peak_mb(), rel=0.1)
    assert not usage.is_core([])
    assert not usage.is_core(["python", "VLLM::EngineCore"])
    assert usage.is_core(["VLLM::EngineCore", ""])
