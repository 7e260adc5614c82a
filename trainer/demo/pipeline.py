"""The whole way on two cores, without a download: draw clips, build items, train a tiny model, prove that it learned.

Example:
    $ python -m trainer.demo --out runs/train-demo --seed 0

Every step is a command of viubench, printed before it runs; a demo that was stopped goes on. Training, validation and
test items come from different clips. Base, warm start and last checkpoint are asked the test items through vLLM, the
last one also with each item's video replaced by another item's. The end is a page, `summary.json` (see
`trainer.demo.acceptance`), and exit code 1 where the gain is not what it should be.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from trainer import sft
from trainer.checkpoints import checkpoint
from trainer.config import TrainConfig, load
from trainer.demo import acceptance
from viubench.errors import Exit, ViubenchError
from viubench.schema import Item
from viubench.storage import atomic
from viubench.tasks.registry import Catalogue
from viubench.video.frame_cache import FrameCache

RECIPE = "tiny"
CLIPS = {"train": 400, "validation": 64, "test": 128}
ITEMS = {"train": 4000, "validation": 512, "test": 512}
"""Clips drawn, and items of each task, for each split."""

SCENES = ("--seconds", 8, "--size", "64x64", "--fps", 4, "--dusk", "--quiet")

PROMISED = ("tiny_ground", "tiny_jigsaw")
"""The tasks whose gain is checked; counting is reported."""

APART = 61
"""The video of item i is replaced by that of item i + 61: items of one clip lie closer together."""

Reward = Literal["smooth", "strict", "random"]


@dataclass(frozen=True)
class Demo:
    """One demo in folder `out`.

    Attributes:
        start: an earlier demo whose clips, items and warm start are used again, for a training that differs in its
            reward alone; None for one of its own.
        config: of the training.
        processes: that train together.
    """

    out: Path
    seed: int
    start: Path | None
    config: TrainConfig
    processes: int

    @property
    def world(self) -> Path:
        return self.start or self.out

    @property
    def frames(self) -> Path:
        return self.world / "frames"

    def items(self, split: str) -> Path:
        return self.world / "items" / split

    def viubench(self, *words: object) -> None:
        """Run one command of viubench, said before; ViubenchError where it fails."""
        self.run([sys.executable, "-m", "viubench", *map(str, words)], ["viubench", *map(str, words)])

    def run(self, command: Sequence[str], said: Sequence[str]) -> None:
        print(f"$ {shlex.join(said)}", flush=True)
        done = subprocess.run(command, check=False)
        if done.returncode not in (Exit.OK, Exit.NEGATIVE, Exit.INCONCLUSIVE):
            raise ViubenchError(
                f"{said[1]} ended with code {done.returncode}", hint="the same command goes on from here"
            )

    def build(self) -> None:
        """Clips and items of the three splits, and the test items with swapped videos."""
        for number, split in enumerate(CLIPS):
            clips, items = self.out / "clips" / split, self.items(split)
            if (items / "build.json").exists():
                continue
            drawn = (
                "--seed",
                10 * self.seed + number,
                "--seconds",
                8,
                "--size",
                "64x64",
                "--fps",
                4,
                "--dusk",
                "--quiet",
            )
            self.viubench("clips", "--out", clips, "--n", CLIPS[split], *drawn)
            made = ("--n", ITEMS[split], "--seed", self.seed, "--frame-cache", self.frames, "--quiet")
            self.viubench("build", "--recipe", RECIPE, "--videos", clips, "--out", items, *made)
        swap(self.items("test"), self.items("swapped"))

    def train(self) -> tuple[Path, Path, Path]:
        """Base, warm start and last checkpoint."""
        base, out = self.world / "base", self.out / "training"
        if not base.exists():
            self.viubench("tiny", "--learner", "--out", base, "--seed", self.seed)
        begin = base
        if self.start is not None:
            begin = _last(self.start / "training" / sft.FOLDER)
        atomic.write(
            self.out / "train.yaml", yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False).encode()
        )
        words = ["train", "--config", self.out / "train.yaml", "--model", begin, "--out", out]
        words += ["--items", self.items("train"), "--validation", self.items("validation")]
        words += ["--tests", self.items("test"), "--frame-cache", self.frames]
        spread = ["--standalone", "--nproc-per-node", str(self.processes), "-m", "viubench", *map(str, words)]
        self.run([sys.executable, "-m", "torch.distributed.run", *spread], ["torchrun", *spread])
        return base, _last((self.start or self.out) / "training" / sft.FOLDER), _last(out)

    def evaluate(self, name: str, model: Path | str, split: str = "test") -> Path:
        """A run of the harness on a split: a checkpoint through vLLM, or a baseline by its name."""
        run = self.out / "runs" / name
        asked = ("--tasks", self.items(split), "--out", run, "--frame-cache", self.frames)
        if isinstance(model, Path):
            self.viubench("run", "--model", model, "--engine", "vllm", "--engine-arg", "max_in_flight=64", *asked)
        else:
            self.viubench("run", "--engine", model, *asked)
        return run


def swap(items: Path, out: Path) -> None:
    """The items of a build, each with the video of another item of its task: what is left is what needs no video."""
    lines = (items / "items.jsonl").read_text(encoding="utf-8").splitlines()
    tasks: dict[str, list[Item]] = {}
    for line in lines:
        item = Item.model_validate_json(line)
        tasks.setdefault(item.task, []).append(item)
    swapped = []
    for found in tasks.values():
        for place, item in enumerate(found):
            other = found[(place + APART) % len(found)]
            shown = other.model_dump(include={"video", "cluster", "seed", "params"})
            swapped.append(item.model_copy(update=shown | {"id": f"{item.id}-swapped"}))
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(items / "build.json", out / "build.json")
    atomic.write(out / "items.jsonl", "".join(item.model_dump_json() + "\n" for item in swapped).encode())


def configured(seed: int, reward: Reward, *, warm: bool) -> TrainConfig:
    """The recipe tiny-cpu with another seed and reward; without its warm start where one is used again."""
    config = load("tiny-cpu")
    tasks = {name: mix.model_copy(update={"reward": reward}) for name, mix in config.tasks.items()}
    return config.model_copy(update={"seed": seed, "tasks": tasks, "warm_start": config.warm_start if warm else None})


def main(
    out: Annotated[Path, typer.Option(help="Folder of everything the demo makes.")] = Path("runs/train-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Of clips, items, weights and training.")] = 0,
    reward: Annotated[Reward, typer.Option(help="What GRPO is rewarded with; random is the control.")] = "smooth",
    start: Annotated[
        Path | None, typer.Option("--from", help="A finished demo to take items and warm start of.")
    ] = None,
    clips: Annotated[Path | None, typer.Option(help="More videos to test on, for example real ones.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that train together.")] = 2,
    ship: Annotated[
        Path | None, typer.Option(help="Folder for the last checkpoint in bfloat16, its model alone.")
    ] = None,
) -> None:
    """Train the tiny model and prove what it learned."""
    began = time.monotonic()
    demo = Demo(out, seed, start, configured(seed, reward, warm=start is None), processes)
    out.mkdir(parents=True, exist_ok=True)
    if start is None:
        demo.build()
    base, warm, last = demo.train()
    runs = {name: demo.evaluate(name, model) for name, model in (("base", base), ("warm", warm), ("grpo", last))}
    control = demo.evaluate("swapped", last, "swapped")
    baselines = [demo.evaluate(name, name) for name in ("random", "blind", "oracle")]
    demo.viubench("gate", "--baseline", runs["base"], "--candidate", runs["grpo"], "--out", out / "gate.json")
    shown = [*baselines, *runs.values()]
    demo.viubench("report", *shown, "--training", out / "training", "--out", out / "leaderboard.html")
    found = acceptance.Runs(demo.items("train"), demo.items("test"), demo.items("swapped"), **runs, control=control)
    told = acceptance.summary(found, Catalogue(), FrameCache(demo.frames))
    told |= {"seed": seed, "reward": reward}
    if clips is not None:
        told["other_clips"] = elsewhere(demo, clips, warm, last)
    if ship is not None:
        shrunk(last, ship)
    told["minutes"] = round((time.monotonic() - began) / 60, 2)
    missed = acceptance.failures(told, PROMISED)
    told["missed"] = missed
    atomic.write(out / "summary.json", (json.dumps(told, indent=1) + "\n").encode())
    print(acceptance.table(told))
    print(f"page: {out / 'leaderboard.html'}   figures: {out / 'summary.json'}   {told['minutes']} min")
    for sentence in missed:
        print(f"not as promised: {sentence}")
    if missed:
        raise typer.Exit(Exit.NEGATIVE)


def elsewhere(demo: Demo, clips: Path, warm: Path, last: Path) -> dict[str, Any]:
    """Scores of the two checkpoints on items from other videos."""
    made = ("--n", ITEMS["test"], "--seed", demo.seed, "--frame-cache", demo.frames, "--quiet")
    items = demo.items("other")
    demo.viubench("build", "--recipe", RECIPE, "--videos", clips, "--out", items, *made)
    told: dict[str, Any] = {}
    for name, model in (("warm", warm), ("grpo", last)):
        run = demo.evaluate(f"other-{name}", model, "other")
        told[name] = acceptance.scores(run, items, demo.items("train"), Catalogue(), FrameCache(demo.frames))
    return told


def shrunk(source: Path, out: Path) -> None:
    """The model of a checkpoint in bfloat16, half its size, without what only a training needs."""
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.bfloat16, use_safetensors=True)
    model.save_pretrained(out)
    for pattern in (*checkpoint.FROM_BASE, "README.md"):
        for path in source.glob(pattern):
            if path.name != "config.json":
                shutil.copyfile(path, out / path.name)


def _last(folder: Path) -> Path:
    found = checkpoint.latest(folder)
    if found is None:
        raise ViubenchError("there is no checkpoint", where=str(folder), hint="train first")
    return found
