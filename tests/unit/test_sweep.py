"""`viubench sweep`: the same items at every setting, the plateau of a model of known gain per frame, resuming."""

from __future__ import annotations

import json
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import viubench
from viubench.cli import app
from viubench.errors import EngineError, ViubenchError
from viubench.runner.config import EvalConfig
from viubench.runner.sweep import plan_sweep, settings
from viubench.storage import locking
from viubench.video import synthetic

GAIN = {4: 0.3, 16: 0.8, 24: 0.8}
"""What the scripted model knows at so many frames; it knows at more what it knew at fewer."""

GROUND = ["viubench_ground_mirror", "viubench_ground_channel_swap"]


class Scripted(viubench.Engine):
    """A model that answers right with a share that rises with the frames it is shown, up to 16."""

    kind = "scripted"
    max_in_flight = 8

    def __init__(self, most: int = 1000) -> None:
        self.asked: list[tuple[str, int]] = []
        self.most = most

    async def generate(self, request: viubench.Request) -> viubench.Response:
        frames = len(request.videos[0])
        self.asked.append((request.sample.id, frames))
        if frames > self.most:
            raise EngineError(f"{frames} frames are too many")
        draw = int.from_bytes(blake2b(request.sample.id.encode(), digest_size=2).digest(), "little")
        text = request.sample.answer_text if draw < 2**16 * GAIN[frames] else "I cannot tell"
        usage = {"prompt_tokens": 20 + 64 * frames, "completion_tokens": 5}
        return viubench.Response(text, "stop", usage=usage)

    def describe(self) -> dict[str, Any]:
        return {"model": "scripted", "version": "1"}


def made(folder: Path, clips: Path) -> Path:
    """Items of 24 frames of these clips in `items`: grounding and a jigsaw."""
    tasks = "\n".join(f"  - {{task: {task}, n: 25}}" for task in GROUND)
    (folder / "mine.yaml").write_text(f"recipe: mine\nitems:\n{tasks}\n  - {{task: viubench_jigsaw_easy, n: 2}}\n")
    options = {"frames": 24, "workers": 1, "frame_cache": folder / "cache"}
    viubench.build_items(folder / "mine.yaml", clips, folder / "items", **options)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn clips and their items."""
    folder = tmp_path_factory.mktemp("sweep")
    synthetic.draw(folder / "clips", 10, 0, seconds=8, size=(96, 64), fps=12)
    return made(folder, folder / "clips")


def found(world: Path, out: Path, engine: Scripted, *frames: int, **more: Any) -> viubench.Sweep:
    return viubench.sweep(
        engine, world / "items", over={"frames": frames or list(GAIN)}, out=out, margin=0.15, workers=1, filmstrips=0,
        max_pixels=65536, frame_cache=world / "cache", **more,
    )  # fmt: skip


def test_the_plateau_of_a_known_model_is_found(world: Path, tmp_path: Path) -> None:
    engine = Scripted()
    begun: list[str] = []
    done = found(world, tmp_path / "out", engine, started=lambda label, place, total: begun.append(f"{label} {total}"))
    assert begun == [f"frames={frames} 3" for frames in GAIN]
    report = done.report
    assert report is not None
    assert report.settings[report.enough or 0].values == {"frames": 16}
    assert (report.n, report.clusters, list(done.left_out)) == (50, 10, ["viubench_jigsaw_easy"])
    draws = {one for one, _ in engine.asked}
    for setting, frames in zip(report.settings, GAIN, strict=True):
        right = [int.from_bytes(blake2b(one.encode(), digest_size=2).digest(), "little") < 2**16 * GAIN[frames]
                 for one in draws]  # fmt: skip
        assert setting.value == pytest.approx(sum(right) / len(right), abs=1e-6)
        assert (setting.spent.frames, setting.spent.prompt_tokens) == (frames, 20 + 64 * frames)
    step = report.settings[1].step
    assert step is not None
    assert (step.worse, step.word) == (0, "better")
    assert (step.ci[1] - step.ci[0]) / 2 < 0.25  # paired: two runs of 50 other questions would have twice that
    for frames in GAIN:
        manifest = json.loads((tmp_path / f"out/frames={frames}/manifest.json").read_bytes())
        assert {one["sampling"]["frames"] for one in manifest["protocols"].values()} == {frames}

    asked = len(engine.asked)
    (tmp_path / "out/frames=4/results.json").unlink()
    records = tmp_path / "out/frames=4/records.jsonl"
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:-3]))
    again = found(world, tmp_path / "out", engine)
    assert len(engine.asked) == asked + 3  # resumed
    assert again.report is not None
    assert again.report.conclusion == report.conclusion


@pytest.mark.clips
def test_the_plateau_is_found_on_real_clips(real_clips: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    videos = (path for path in real_clips.iterdir() if path.suffix in (".mp4", ".webm", ".avi"))
    for path in sorted(videos, key=lambda path: path.stat().st_size)[:8]:
        shutil.copy(path, clips)
    report = found(made(tmp_path, clips), tmp_path / "out", Scripted()).report
    assert report is not None
    assert report.conclusion == "frames 16 is enough: no other setting is better by more than 15 points"
    assert report.clusters > 5
    assert [(step.word, step.worse) for one in report.settings if (step := one.step)] == [
        ("better", 0), ("no difference shown", 0),
    ]  # fmt: skip


def test_a_setting_that_fails_does_not_end_the_others(world: Path, tmp_path: Path) -> None:
    done = found(world, tmp_path / "out", Scripted(most=16), 4, 24, limit=1)
    assert list(done.runs) == ["frames=4"]
    assert "2 of 2 answers failed" in done.failed["frames=24"]
    assert done.report is None  # nothing to compare it with
    with pytest.raises(ViubenchError, match="2 of 2 answers failed"):
        found(world, tmp_path / "none", Scripted(most=1), 4, 24, limit=1)


def test_items_are_built_once_from_the_most_frames(world: Path, tmp_path: Path) -> None:
    options = {"videos": world / "clips", "frame_cache": world / "cache", "workers": 1, "limit": 2}
    config = EvalConfig(engine="oracle", tasks=[*GROUND, "viubench_count_easy"], out=tmp_path, **options)  # type: ignore[arg-type]
    planned = plan_sweep(config, {"frames": "4,24", "max_pixels": [4096, 16384]})
    assert [point.label for point in planned.points] == [
        "frames=4+max_pixels=4096", "frames=4+max_pixels=16384", "frames=24+max_pixels=4096",
        "frames=24+max_pixels=16384",
    ]  # fmt: skip
    assert list(planned.left_out) == ["viubench_count_easy"]
    assert {tuple(point.config.names) for point in planned.points} == {(str(tmp_path / "items"),)}
    lines = (tmp_path / "items" / "items.jsonl").read_text().splitlines()
    assert {json.loads(line)["params"]["frames"] for line in lines} == {24}


def test_pixels_leave_no_task_out_and_fps_all_built_ones(world: Path, tmp_path: Path) -> None:
    config = EvalConfig(engine="oracle", tasks=world / "items", out=tmp_path, frame_cache=world / "cache")
    assert plan_sweep(config, {"max-pixels": "4096,16384"}).left_out == {}
    with pytest.raises(ViubenchError, match="ready items fix their frames"):
        plan_sweep(config, {"fps": "1,2"})


def test_rows_that_choose_their_frames_are_left_out_where_frames_are_varied(world: Path, tmp_path: Path) -> None:
    clip = next((world / "clips").iterdir()).name
    row = {"video": clip, "question": "Does it move?", "options": ["yes", "no"], "answer": "A"}
    for name, more in (("own", {"frames": [0, 5, 9]}), ("plain", {})):
        rows = [row | more | {"question": f"Does it move? ({k})"} for k in range(2)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    names = [tmp_path / "own.jsonl", tmp_path / "plain.jsonl"]
    options = {"engine": "oracle", "videos": world / "clips", "frame_cache": world / "cache", "out": tmp_path / "out"}
    planned = plan_sweep(EvalConfig(tasks=names, **options), {"frames": "4,8"})  # type: ignore[arg-type]
    assert list(planned.left_out) == ["own"]
    assert "choose their frames" in planned.left_out["own"]
    assert plan_sweep(EvalConfig(tasks=names, **options), {"max_pixels": "4096,8192"}).left_out == {}  # type: ignore[arg-type]
    with pytest.raises(ViubenchError, match="the rows of own choose their frames"):
        plan_sweep(EvalConfig(tasks=names[0], **options), {"frames": "4,8"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({}, "nothing is varied"),
        ({"frames": "8"}, "frames has one value"),
        ({"frames": "8,8"}, "one value twice"),
        ({"frames": "8,many"}, "cannot be many"),
        ({"framez": "8,16"}, "no field 'framez'"),
        ({"system": "[one"}, "is no list"),
    ],
)
def test_settings_that_do_not_fit(over: dict[str, str], said: str) -> None:
    with pytest.raises(ViubenchError, match=said):
        settings(over)


def test_what_is_varied_is_not_given_as_well(tmp_path: Path) -> None:
    for more in ({"frames": 8}, {"set": {"sampling.frames": 8}}):
        with pytest.raises(ViubenchError, match="is varied, and given as well"):
            plan_sweep(EvalConfig(engine="oracle", tasks="mvbench", out=tmp_path, **more), {"frames": "8,16"})  # type: ignore[arg-type]


def test_the_command_plans_and_runs(world: Path, tmp_path: Path) -> None:
    words = ["sweep", "--over", "frames=4,24", "--tasks", str(world / "items"), "--engine", "oracle", "--quiet",
             "--limit", "2", "--out", str(tmp_path / "out"), "--frame-cache", str(world / "cache")]  # fmt: skip
    planned = CliRunner().invoke(app, [*words, "--dry-run"], catch_exceptions=False)
    assert planned.exit_code == 0
    assert "nothing was run" in planned.output
    assert "left out: viubench_jigsaw_easy cannot be asked at other frames" in planned.output
    assert not (tmp_path / "out" / "frames=4").exists()
    done = CliRunner().invoke(app, [*words, "--name", "mine"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "frames 4 -> 24, all else equal: +0.0" in done.output
    page = (tmp_path / "out" / "sweep.html").read_text()
    assert "<b>mine</b>" in page
    for wrong, said in (("frames", "is not of the form SETTING=V,V"), ("frames=8,16", "is varied twice")):
        with pytest.raises(ViubenchError, match=said):
            CliRunner().invoke(app, [*words, "--over", wrong], catch_exceptions=False)


def test_two_sweeps_do_not_share_a_folder(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options: dict[str, Any] = {"engine": "oracle", "limit": 2, "frame_cache": world / "cache"}
    with (
        locking.alone(out, "busy", where="--out"),
        pytest.raises(ViubenchError, match="another sweep is writing to"),
    ):
        viubench.sweep(tasks=world / "items", over={"frames": [4, 24]}, out=out, **options)
    assert not out.exists()  # nothing came of either
    with pytest.raises(ViubenchError, match="unknown task"):
        viubench.sweep(tasks="nothing_of_that_name", over={"frames": [4, 24]}, out=out, **options)
    assert not out.exists()
