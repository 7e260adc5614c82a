"""Train a tiny model on two cores, without a download: draw clips, build items, train, check the gain.

Example:
    $ python -m trainer.demo --out runs/train-demo --seed 0
    $ python -m trainer.demo --out runs/clips-demo --clips my_clips

Every step is a command of viubench, printed before it runs; rerun the demo to resume. Base, warm start and last
checkpoint are evaluated on the test items through vLLM, the last one also with each item's video replaced by another
item's. The result is a page, `summary.json`, and exit code 1 where the gain is below the requirement.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
import yaml

from trainer import sft
from trainer.checkpoints import checkpoint
from trainer.config import TrainConfig, load
from trainer.demo import acceptance
from trainer.rewards import Kind
from viubench.errors import Exit, ViubenchError
from viubench.schema import Item
from viubench.storage import atomic
from viubench.tasks.registry import Catalogue
from viubench.video import footage
from viubench.video.frame_cache import FrameCache

CLIPS = {"train": 400, "validation": 64, "test": 128}  # drawn for each split
ITEMS = {"train": 4000, "validation": 512, "test": 512}  # of each task, for each split
# Clips cut from real ones for each split, and drawn beside those for training, of each length.
CUTS, DRAWN = {"train": 600, "validation": 64, "test": 128}, 30
SCENES = ("--size", "64x64", "--fps", 4, "--dusk", "--quiet")
TINY = Path(__file__).parents[1] / "tiny-viu"
APART = 61  # the video of item i is replaced by that of item i + 61: items of one clip are closer together


@dataclass(frozen=True)
class Demo:
    """One demo in folder `out`: on drawn clips, or on those of `folder`, split by scene, where training clips are mixed
    with drawn ones. `start` is an earlier demo whose clips, items and warm start are reused."""

    out: Path
    seed: int
    start: Path | None
    config: TrainConfig
    processes: int
    folder: Path | None = None

    @property
    def world(self) -> Path:
        return self.start or self.out

    @property
    def frames(self) -> Path:
        return self.world / "frames"

    def items(self, split: str) -> Path:
        return self.world / "items" / split

    @cached_property
    def sources(self) -> list[footage.Source]:
        """The clips of the folder that can be used."""
        assert self.folder is not None, "asked for real clips alone"
        sources, unused = footage.read(self.folder, FrameCache(self.frames))
        print("\n".join(f"not used: {line}" for line in unused))
        return sources

    def viubench(self, *words: object, program: str = "viubench", module: str = "viubench") -> None:
        """Print and run a command of viubench; ViubenchError where it fails."""
        command = list(map(str, words))
        print(f"$ {shlex.join([program, *command])}", flush=True)
        done = subprocess.run([sys.executable, "-m", module, *command], check=False)
        if done.returncode not in (Exit.OK, Exit.NEGATIVE, Exit.INCONCLUSIVE):
            hint = "rerun the same command to resume"
            raise ViubenchError(f"{command[0]} ended with code {done.returncode}", hint=hint)

    def clips(self, split: str, out: Path) -> None:
        """Write the clips of a split: drawn, or cut from the files of its scenes, for training with some drawn ones."""
        seed = 10 * self.seed + list(CLIPS).index(split)
        if self.folder is None:
            self.viubench("clips", "--out", out, "--n", CLIPS[split], "--seed", seed, "--seconds", 8, *SCENES)
            return
        scenes = footage.splits({source.scene for source in self.sources}, self.seed)[split]
        own = [source for source in self.sources if source.scene in scenes]
        print(f"{split}: {CUTS[split]} clips of {len(scenes)} scenes: {', '.join(sorted(scenes))}", flush=True)
        footage.cut(own, out, CUTS[split], seed, varied=split == "train")
        for length in footage.SECONDS if split == "train" else ():
            options = ("--n", DRAWN, "--seed", 100 * seed + length, "--seconds", length)
            self.viubench("clips", "--out", out / f"drawn {length} s", *options, *SCENES)

    def build(self) -> None:
        """Clips and items of the three splits, those of one scene as one cluster, and test items of swapped videos."""
        for split in CLIPS:
            clips, items = self.out / "clips" / split, self.items(split)
            if not (items / "build.json").exists():
                self.clips(split, clips)
                options = ("--n", ITEMS[split], "--seed", self.seed, "--frame-cache", self.frames, "--quiet")
                recipe = "tiny" if self.folder is None else "tiny-clips"
                self.viubench("build", "--recipe", recipe, "--videos", clips, "--out", items, *options)
            if self.folder is not None:
                cluster_by_scene(items)
        swap(self.items("test"), self.items("swapped"))

    def base(self) -> Path:
        """The checkpoint that the training begins with: random weights; for real clips the model that comes along."""
        base = self.world / "base" if self.folder is None else TINY
        if not base.exists():
            self.viubench("tiny", "--learner", "--out", base, "--seed", self.seed)
        return base

    def train(self) -> tuple[Path, Path, Path]:
        """Base, warm start and last checkpoint."""
        base, out, config = self.base(), self.out / "training", self.out / "train.yaml"
        begin = _last(self.start / "training" / sft.FOLDER) if self.start else base
        atomic.write(config, yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False).encode())
        words = ["train", "--config", config, "--model", begin, "--out", out]
        words += ["--items", self.items("train"), "--validation", self.items("validation")]
        words += ["--tests", self.items("test"), "--frame-cache", self.frames]
        spread = ("--standalone", "--nproc-per-node", self.processes, "-m", "viubench")
        self.viubench(*spread, *words, program="torchrun", module="torch.distributed.run")
        return base, _last(self.world / "training" / sft.FOLDER), _last(out)

    def evaluate(self, name: str, model: Path | str, split: str = "test") -> Path:
        """A run of the harness on a split: a checkpoint through vLLM, or a baseline by its name."""
        run, trained = self.out / "runs" / name, isinstance(model, Path)
        engine = ("vllm", "--model", model, "--engine-arg", "max_in_flight=64") if trained else (model,)
        where = ("--tasks", self.items(split), "--out", run, "--frame-cache", self.frames)
        self.viubench("run", "--engine", *engine, *where)
        return run


def cluster_by_scene(items: Path) -> None:
    """Make the cluster of every built item the folder of its video: clips of one scene are no independent ones."""
    rows = read_items(items)
    write_items(items, [row.model_copy(update={"cluster": str(PurePosixPath(row.video).parent)}) for row in rows])


def read_items(folder: Path) -> list[Item]:
    """The items of a build."""
    return [Item.model_validate_json(line) for line in (folder / "items.jsonl").read_bytes().splitlines()]


def write_items(folder: Path, items: Iterable[Item]) -> None:
    """Replace the items of a build."""
    atomic.write(folder / "items.jsonl", "".join(item.model_dump_json() + "\n" for item in items).encode())


def swap(items: Path, out: Path) -> None:
    """The items of a build, each with the video of another item of its task and not of its cluster, as a control."""
    swapped, rows = [], read_items(items)
    for task in dict.fromkeys(item.task for item in rows):
        group = [item for item in rows if item.task == task]
        for index, item in enumerate(group):
            others = (group[(index + step) % len(group)] for step in range(APART, APART + len(group)))
            other = next((other for other in others if other.cluster != item.cluster), item)
            video = {name: getattr(other, name) for name in ("video", "cluster", "seed", "params")}
            swapped.append(item.model_copy(update=video | {"id": f"{item.id}-swapped"}))
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(items / "build.json", out / "build.json")
    write_items(out, swapped)


def demo_config(name: str, seed: int, reward: Kind, *, warm: bool) -> TrainConfig:
    """The recipe with another seed and reward; without its warm start where one is reused."""
    config = load(name)
    tasks = {name: mix.model_copy(update={"reward": reward}) for name, mix in config.tasks.items()}
    return config.model_copy(update={"seed": seed, "tasks": tasks} | ({} if warm else {"warm_start": None}))


def main(
    out: Annotated[Path, typer.Option(help="Folder of the demo.")] = Path("runs/train-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of clips, items, weights and training.")] = 0,
    clips: Annotated[Path | None, typer.Option(help="Folder of real clips to train and test on, by scene.")] = None,
    reward: Annotated[Kind, typer.Option(help="Reward of GRPO; random is the control.")] = "smooth",
    start: Annotated[Path | None, typer.Option("--from", help="A demo whose items and warm start are reused.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes of torchrun.")] = 2,
    ship: Annotated[Path | None, typer.Option(help="Export the last checkpoint to this folder, in bfloat16.")] = None,
) -> None:
    """Train the tiny model and check what it learned."""
    started = time.monotonic()
    config = demo_config("tiny-cpu" if clips is None else "tiny-clips", seed, reward, warm=start is None)
    demo = Demo(out, seed, start, config, processes, clips)
    out.mkdir(parents=True, exist_ok=True)
    if start is None:
        demo.build()
    base, warm, last = demo.train()
    runs = {name: demo.evaluate(name, model) for name, model in (("base", base), ("warm", warm), ("grpo", last))}
    swapped = demo.evaluate("swapped", last, "swapped")
    baselines = [demo.evaluate(name, name) for name in ("random", "blind", "oracle")]
    demo.viubench("gate", "--baseline", runs["base"], "--candidate", runs["grpo"], "--out", out / "gate.json")
    page = out / "leaderboard.html"
    demo.viubench("report", *baselines, *runs.values(), "--training", out / "training", "--out", page)
    items = {split: demo.items(split) for split in ("train", "test", "swapped")}
    result = acceptance.summary(runs | {"swapped": swapped}, items, Catalogue(), FrameCache(demo.frames))
    if clips is None:
        missed = acceptance.failures(result)
    else:
        demo.viubench("compare", out / "runs" / "blind", runs["grpo"], "--json", out / "compare.json")
        missed = acceptance.clips_failures(out / "compare.json", result)
    minutes = round((time.monotonic() - started) / 60, 2)
    result |= {"seed": seed, "reward": reward, "missed": missed, "minutes": minutes}
    if ship is not None:
        export_bfloat16(last, ship)
    atomic.write(out / "summary.json", (json.dumps(result, indent=1) + "\n").encode())
    print(acceptance.table(result))
    print(f"page: {page}   figures: {out / 'summary.json'}   {minutes} min")
    print("".join(f"not as required: {sentence}\n" for sentence in missed), end="")
    if missed:
        raise typer.Exit(Exit.NEGATIVE)


def export_bfloat16(source: Path, out: Path) -> None:
    """The model of a checkpoint in bfloat16, without the state of the training."""
    from transformers import AutoModelForImageTextToText

    out.mkdir(parents=True, exist_ok=True)
    for path in (path for pattern in (*checkpoint.FROM_BASE, "README.md") for path in source.glob(pattern)):
        shutil.copyfile(path, out / path.name)
    AutoModelForImageTextToText.from_pretrained(source, dtype="bfloat16", use_safetensors=True).save_pretrained(out)


def _last(folder: Path) -> Path:
    last = checkpoint.latest(folder)
    if last is None:
        raise ViubenchError("there is no checkpoint", where=str(folder), hint="train first")
    return last
