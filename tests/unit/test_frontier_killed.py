"""A search for thresholds that is killed (SIGKILL) again and again ends as one that never was."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import forked
import pytest

import viubench
from viubench.schema import JigsawItem
from viubench.storage.run_dir import read_records
from viubench.video import synthetic

KILLS = (1, 7, 14)
"""Records that are there when it is killed."""


class Paced(viubench.Engine):
    """A model that orders up to four clips, and takes its time."""

    kind = "paced"
    needs_media = False
    max_in_flight = 2

    async def generate(self, request: viubench.Request) -> viubench.Response:
        await asyncio.sleep(0.05)
        item = request.sample.pretext
        known = item.n <= 4 if isinstance(item, JigsawItem) else request.seed % 3 > 0
        return viubench.Response(request.sample.answer_text if known else "I cannot tell", "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": "paced", "version": "1"}


def test_killed_in_the_middle_of_rounds_it_ends_equal(tmp_path: Path) -> None:
    synthetic.draw(tmp_path / "clips", 3, 0, seconds=6, size=(96, 64), fps=8)
    levels = {"jigsaw.clips": (2, 3, 4, 5, 6), "counting.instances": (1, 2, 3, 4, 5)}
    given = {
        "videos": tmp_path / "clips", "frame_cache": tmp_path / "cache", "axes": list(levels), "levels": levels,
        "questions": 24, "width": 0.5, "frames": 24, "workers": 1,
    }  # fmt: skip
    whole = viubench.find_frontier(Paced(), out=tmp_path / "whole", **given)
    assert whole.questions > KILLS[-1]
    out = tmp_path / "killed"
    kept: list[bytes] = []
    for wanted in KILLS:
        with (tmp_path / "said").open("w") as said:
            search = forked.start(lambda: viubench.find_frontier(Paced(), out=out, **given), stdout=said, stderr=said)
            until(out / "records.jsonl", wanted, search)
            search.send_signal(signal.SIGKILL)
            assert search.wait(60) == -signal.SIGKILL, (tmp_path / "said").read_text()
        assert not (out / "frontier.json").exists()
        lines = (out / "records.jsonl").read_bytes().splitlines(keepends=True)
        assert lines[: len(kept)] == kept, "an answer was asked for again"
        kept = [line for line in lines if line.endswith(b"\n")]
    found = viubench.find_frontier(Paced(), out=out, **given)
    assert found == whole
    assert (out / "frontier.json").read_bytes() == (tmp_path / "whole" / "frontier.json").read_bytes()
    told = [
        {record.id: (record.status, record.response, record.scores) for record in read_records(path)}
        for path in (out, tmp_path / "whole")
    ]
    assert told[0] == told[1]
    assert len(told[0]) == len(list(read_records(out))) == whole.questions


def until(records: Path, wanted: int, search: forked.Fork) -> None:
    """Wait for so many records."""
    while not records.exists() or records.read_bytes().count(b"\n") < wanted:
        if search.poll() is not None:
            pytest.fail(f"the search ended with {search.poll()} before {wanted} answers")
        time.sleep(0.002)
