"""The audit: each fault is planted once and found by its own check alone; clean sets have none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import audit_clips
import numpy as np
import pytest
from block_videos import moving, still
from hypothesis import given
from hypothesis import strategies as st

import viubench
from viubench.audit import answers, duplicates, leaks
from viubench.audit.association import told
from viubench.audit.auditing import _checked, _duplicates, _places
from viubench.audit.clocks import has_clock
from viubench.audit.sets import AuditSet
from viubench.audit.videos import facts, hashes
from viubench.runner.collect import Collector
from viubench.runner.config import EvalConfig
from viubench.schema import Clip

N = 24


def read(folder: Path, rows: Sequence[dict[str, Any]], cache: Path) -> AuditSet:
    """The questions with what is known of their videos, read in this process."""
    path = folder / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = EvalConfig(tasks=path, out=folder / "out", frame_cache=cache)
    (dataset,) = Collector(config, folder).collect().datasets
    own = AuditSet("own", dataset.samples, (), dataset.tasks, {"own": dataset.videos})
    for place, spans in _places(own).items():
        own.videos[place] = facts(config.cache, place[0], Clip(path=place[1]), spans)
    return own


def faults(own: AuditSet) -> set[str]:
    return {
        finding.check for finding in [_duplicates([own]), *_checked(own)] if finding.verdict in ("fault", "suspect")
    }


def plain(folder: Path) -> list[dict[str, Any]]:
    for n in range(N):
        audit_clips.write(folder / f"{n:03d}.mp4", n)
    return audit_clips.questions(N)


def named(folder: Path) -> list[dict[str, Any]]:
    rows = audit_clips.questions(N, "{n:03d}_{word}.mp4")
    for n, row in enumerate(rows):
        audit_clips.write(folder / row["video"], n)
    return rows


def worded(folder: Path) -> list[dict[str, Any]]:
    rows = audit_clips.questions(N, "cam{letter}_{n:03d}.mp4")
    for n, row in enumerate(rows):
        audit_clips.write(folder / row["video"], n)
    return rows


def unbalanced(folder: Path) -> list[dict[str, Any]]:
    rows = plain(folder)
    return [row | {"answer": "B" if n % 4 else row["answer"]} for n, row in enumerate(rows)]


def longest(folder: Path) -> list[dict[str, Any]]:
    rows = plain(folder)
    return [row | {"options": [text + (" that is parked there" if k == n % 4 else "") for k, text in
                               enumerate(row["options"])]} for n, row in enumerate(rows)]  # fmt: skip


def tagged(folder: Path) -> list[dict[str, Any]]:
    rows = plain(folder)
    for n in range(N):
        audit_clips.write(folder / f"{n:03d}.mp4", n, tags={"comment": f"take {'abcd'[n % 4]}"})
    return rows


def coarse(folder: Path) -> list[dict[str, Any]]:
    rows = plain(folder)
    for n in range(0, N, 4):
        audit_clips.write(folder / f"{n:03d}.mp4", n, quantiser=25)
    return rows


def grainy(folder: Path) -> list[dict[str, Any]]:
    for n in range(N):
        start = 1 + n % 7
        audit_clips.write(folder / f"{n:03d}.mp4", n, noisy=(start, start + 3))
    return [
        {"id": f"q{n}", "video": f"{n:03d}.mp4", "question": "When does it rain?", "answer": [1 + n % 7, 4 + n % 7]}
        for n in range(N)
    ]


def twice(folder: Path) -> list[dict[str, Any]]:
    rows = plain(folder)
    audit_clips.write(folder / "007.mp4", 3, quantiser=5, size=(192, 112))
    return rows


def ticking(folder: Path) -> list[dict[str, Any]]:
    rows = plain(folder)
    audit_clips.write(folder / "005.mp4", 5, clock=True)
    return rows


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (plain, set()), (named, {"file names"}), (worded, {"file names"}), (unbalanced, {"answer balance"}),
        (longest, {"option length"}), (tagged, {"metadata"}), (coarse, {"compression"}), (grainy, {"compression"}),
        (twice, {"near-duplicates"}), (ticking, {"burnt-in clocks"}),
    ],
)  # fmt: skip
def test_each_fault_is_found_by_its_own_check(
    plant: Callable[[Path], list[dict[str, Any]]], found: set[str], tmp_path: Path
) -> None:
    assert faults(read(tmp_path, plant(tmp_path), tmp_path / "cache")) == found


def test_sets_that_share_videos_and_what_cannot_be_read(clips: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    items = tmp_path / "items"
    viubench.build_items("viubench-mini", str(clips), str(items), n=1, frame_cache=cache)
    audit_clips.write(tmp_path / "clip-00.mp4", 1)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    shutil.copy(clips / "clip-01.mp4", tmp_path)
    out = viubench.audit_questions([tmp_path, items], frame_cache=cache, workers=1)
    assert out.unreadable.keys() == {"broken.mp4"}
    (shared,) = out.faults
    assert shared.check == "near-duplicates"
    assert "across sets" in shared.reason
    assert any(example.count("clip-01.mp4") == 2 for example in shared.examples)
    assert len(out.to_frame()) == len(out.findings)
    assert {finding.verdict for finding in out.findings if finding.check == "answer balance"} == {"not checked"}
    with pytest.raises(viubench.ViubenchError):
        viubench.audit_questions(["no/such/folder"])


def test_drawn_clips_are_no_duplicates_and_hold_no_clock() -> None:
    own = [moving(16, low=90, high=160, seed=seed).pixels for seed in range(12)]
    assert duplicates.pairs({n: hashes(pixels) for n, pixels in enumerate(own)}) == []
    assert not any(map(has_clock, [*own, moving(16).pixels, still(16).pixels, own[0][:4]]))
    assert len(hashes(np.zeros((3, 64, 64, 3), np.uint8))) == 0


def test_a_light_that_blinks_is_no_clock_and_digits_on_a_steady_ground_are() -> None:
    import cv2

    pixels = np.full((12, 128, 224, 3), 90, np.uint8)
    blinking, clock = pixels.copy(), pixels.copy()
    blinking[::2, 10:20, 10:30] = 250
    for number, picture in enumerate(clock):
        cv2.putText(picture, f"0:{number:02d}", (150, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
    assert not has_clock(blinking)
    assert has_clock(clock)


@given(st.lists(st.sampled_from("AB"), min_size=8, max_size=40), st.integers(0, 9))
def test_words_drawn_without_regard_to_the_answer_go_with_none(letters: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    files = {f"{n}": [f"cam{rng.integers(3)}", f"{n}"] for n in range(len(letters))}
    found = told(files, dict(zip(files, letters, strict=True)))
    assert all(one.p < 0.01 for one in found)
    leaky = {name: [f"cam{letter}"] for name, letter in zip(files, letters, strict=True)}
    if min(letters.count("A"), letters.count("B")) >= 8:
        assert {one.trait for one in told(leaky, dict(zip(files, letters, strict=True)))} == {"camA", "camB"}


def test_an_empty_set_and_intervals_in_names(tmp_path: Path) -> None:
    nothing = AuditSet("x")
    assert answers.balance(nothing) == []
    checks = (leaks.names, leaks.tags, leaks.compression, leaks.clocks)
    assert {check(nothing).verdict for check in checks} == {"not checked"}
    assert leaks.words("a/Red_Car-3b.mp4") == ["a", "red", "car", "3", "b"]
