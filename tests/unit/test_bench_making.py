"""Decode and build: the commands work, every reader is compared, both ways make the same frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.bench import build, decode, hour, straightforward
from tests.bench.__main__ import app
from viubench.pretext.generate import apply, sample_of
from viubench.schema import Item
from viubench.tasks.registry import Catalogue
from viubench.video import cores
from viubench.video.frame_cache import FrameCache
from viubench.video.probe import probe


def test_decode_compares_every_reader(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_share", cores.share())  # the benchmark takes all cores of its process, here the tests'
    command = ["decode", "--videos", str(clips), "--frames", "8", "--quiet"]
    done = CliRunner().invoke(app, [*command, "--json", str(tmp_path / "decode.json")])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "decode.json").read_bytes())
    assert {row["reader"] for row in told["rows"]} == set(decode.READERS)
    found = {(row["clip"], row["reader"]): row for row in told["rows"]}
    names = sorted(path.name for path in clips.glob("*.mp4"))
    assert [found[name, reader]["wrong"] for name in names for reader in ("cold", "warm")] == [0] * 2 * len(names)
    assert told["sums"]["cold"]["ratio"] == 1
    assert told["machine"]["cores"]
    assert all(name in done.output for name in names)


def test_a_long_video_is_drawn_and_read_in_processes_of_their_own(tmp_path: Path) -> None:
    hour.draw(tmp_path / "hour.mp4", 30, size=(90, 160))
    facts = probe(tmp_path / "hour.mp4")
    assert (facts.frames, facts.duration, facts.random_access) == (900, 30, True)
    assert len(facts.keys) >= 3
    rows = {row.reader: row for row in hour.measure(10, (8,), size=(90, 160))}
    assert {"idle", "ours"} <= rows.keys() <= {"idle", *hour.READERS}
    assert rows["ours"].wrong == 0
    assert rows["ours"].peak_mb >= rows["idle"].peak_mb > 10
    assert rows["ours"].store_mb > 8 * 80 * 160 * 3 / 1e6
    assert "ours" in hour.table(list(rows.values()), 10)


def test_build_is_timed_beside_the_straightforward_way(clips: Path, tmp_path: Path) -> None:
    command = ["build", "--videos", str(clips), "--recipe", "viubench-mini", "--sample", "9", "--quiet"]
    done = CliRunner().invoke(app, [*command, "--no-memory", "--json", str(tmp_path / "build.json")])
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "build.json").read_bytes())
    assert {row["items"] for row in told["rows"]} == {90}
    assert [row["timed"] for row in told["rows"]] == [90, 90, 9, 9]
    assert told["ratios"]["cold"] > 0
    assert "9 drawn, scaled" in done.output


def test_both_ways_show_the_same(clips: Path, tmp_path: Path) -> None:
    catalogue = Catalogue()
    recipe = catalogue.recipe("viubench-mini")
    tasks = catalogue.tasks_of(recipe)
    store = FrameCache(tmp_path / "frames")
    build.build(recipe, tasks, clips, tmp_path, n=2, cache=store)
    items = [Item.model_validate_json(line) for line in (tmp_path / "items.jsonl").read_bytes().splitlines()]
    assert {item.params.kind for item in items} == {"ground", "count", "jigsaw"}
    for item in items:
        sources = sample_of(item, tasks[item.task]).clips
        videos = [store.get(clip, clips, recipe.sampling, recipe.check) for clip in sources]
        shown = apply(item.params, item.seed, videos)
        height, width = shown[0].pixels.shape[1:3]
        others = straightforward.make(item, clips, (height, width))
        assert len(others) == len(shown)
        for video, other in zip(shown, others, strict=True):
            gap = np.abs(video.pixels.astype(np.int16) - np.stack(other)).mean()
            assert gap < 3, item.params
