"""What the tests of the hand-over to verl share, those in verl's environment and those without verl.

Example:
    >>> len(ANSWERS), ANSWERS[0].task in TRUTHS
    (1000, True)

The goldens below `tests/unit/golden/verl` are what verl itself made of this; `make test-verl` compares them with verl,
the other tests compare them with us. VIUBENCH_WRITE_GOLDEN=1 in verl's environment writes them anew.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.verl import export
from trainer.verl.frames import FrameSource
from viubench.engines import prompts
from viubench.pretext.build import build
from viubench.runner.pipeline import frame_requests, shown
from viubench.schema import Recipe, RecipeEntry, Resize, Sample, Sampling
from viubench.tasks.registry import Catalogue
from viubench.video import timestamps
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput

GOLDEN = Path(__file__).parent / "unit" / "golden" / "verl"
RECIPES = ("videossr-8xh200", "ablation-strict", "only-ground", "only-count", "only-jigsaw")
TASKS = ("viubench_ground_mirror", "viubench_count_easy", "viubench_jigsaw_easy")


def composed(lines: Sequence[str]) -> Any:
    """verl's whole configuration with these overrides, as its main program composes it."""
    import hydra
    import verl.trainer as home

    with hydra.initialize_config_dir(str(Path(home.__file__).parent / "config"), version_base=None):
        return hydra.compose("ppo_trainer", list(lines))


def golden(name: str, made: Any) -> Any:
    """The golden of this name; written from what verl has just `made` when asked to."""
    path = GOLDEN / name
    if os.environ.get("VIUBENCH_WRITE_GOLDEN"):
        path.write_text(json.dumps(made, indent=None) + "\n")
    return json.loads(path.read_text())


# --- questions ------------------------------------------------------------------------------------------------------


def items(clips: Path, out: Path, store: FrameCache) -> Path:
    """A build folder with four items of each of the three tasks."""
    entries = [RecipeEntry(task=name, n=4) for name in TASKS]
    check = Resize(max_pixels=128 * 128, min_pixels=64 * 64)
    recipe = Recipe(recipe="test", sampling=Sampling(frames=48), check=check, items=entries)
    catalogue = Catalogue()
    build(recipe, catalogue.tasks_of(recipe), clips, out, cache=store)
    return out


def questions(folder: Path, store: FrameCache, **more: Any) -> Questions:
    """The items of `folder` as two steps of six training questions, as verl is to be handed them."""
    tasks = {TASKS[0]: {"weight": 1}, TASKS[1]: {"weight": 1, "reward": "strict"}, TASKS[2]: {"weight": 1}}
    data: dict[str, Any] = {
        "run_name": "t",
        "model": "m",
        "tasks": tasks,
        "max_steps": 2,
        "train_batch_size": 6,
        "seed": 3,
        "bf16": True,
    }
    data |= {"items": {"train": str(folder)}, "protocol": "viubench-128"} | more
    config = TrainConfig.model_validate(data)
    return Questions.read(config, Catalogue(), store, multiple=export.MULTIPLE, need_validation=config.eval_steps > 0)


def handed() -> export.VerlExport:
    """An export of thirty thousand questions that was never written."""
    root = Path("/handed")
    files = [root / name for name in ("train.parquet", "verl_reward.py", "verl_agent.yaml")]
    return export.VerlExport(*files, Path("/frames"), 29_952)


def asked(questions: Questions, steps: int) -> list[tuple[Sample, tuple[VideoInput, ...]]]:
    """The questions of the first steps and what they show, as a run of the harness shows it."""
    found = []
    for sample in (sample for step in range(steps) for sample in questions.batch(step)):
        loaded = [questions.store.get(c, r, s, z) for r, c, s, z in frame_requests(sample, questions.train)]
        found.append((sample, shown(sample, loaded)))
    return found


def shown_bytes(source: FrameSource, store: FrameCache) -> int:
    """Bytes of the frames of a clip."""
    height, width = source.size(store)
    return height * width * 3 * source.item.frames


def written_out(processor: Any, question: str, videos: Sequence[VideoInput]) -> list[int]:
    """The tokens that a question must become for Qwen3-VL, spelt out: times and visual tokens of every two frames,
    within the marks that the chat template puts around a video."""
    text: str = prompts.render(processor, question, len(videos))
    pad = processor.video_token
    for video in videos:
        visual = (
            "<|vision_start|>" + "<|pad|>" * (video.pixels.shape[1] * video.pixels.shape[2] // 32**2) + "<|vision_end|>"
        )
        text = text.replace(pad, "".join(stamp + visual for stamp in timestamps.stamps(timestamps.metadata(video))), 1)
    tokens: list[int] = processor.tokenizer(text.replace("<|pad|>", pad), add_special_tokens=False)["input_ids"]
    return tokens


# --- answers --------------------------------------------------------------------------------------------------------

TRUTHS: dict[str, dict[str, Any]] = {
    "ground": {
        "evaluator": {"name": "temporal_iou", "params": {}},
        "target": [2.4, 5.1],
        "params": {"times": [round(0.25 * k, 2) for k in range(48)], "segment": [10, 20]},
        "answer": "2.4-5.1",
    },
    "count": {
        "evaluator": {"name": "shape_counts", "params": {}},
        "target": [2, 4, 1],
        "params": {"max_frames": 3, "max_instances": 3},
        "answer": "2, 4, 1",
    },
    "jigsaw": {
        "evaluator": {"name": "permutation", "params": {}},
        "target": [3, 1, 6, 2, 5, 4],
        "params": {},
        "answer": "316254",
    },
}
"""One true answer of each kind of task, as the reward function is told it."""

JUNK = (
    "", " ", "I cannot say.", "?", "-", "7", "9.9-1.2", "1,2", "1,2,3,4", "111111", "1234567", "<|im_end|>",
    "The video shows a dog.", "ten to twelve", "nan-nan", "1e3-2e3", "３１６２５４", "0-0", "\n\n",
    "circles: 2, squares: 4, triangles: 1",
)  # fmt: skip


@dataclass(frozen=True)
class AnswerGroup:
    """One answer: the task it answers, its text, and whether the token limit ended it."""

    task: str
    text: str
    cut: bool


def some_answer(task: str, dice: random.Random) -> str:
    """An answer as a model writes it: of this or another task, true or not, bare or in a sentence, or none at all."""
    kind = task if dice.random() < 0.85 else dice.choice(list(TRUTHS))
    low, high = sorted(round(dice.uniform(0, 9), 1) for _ in range(2))
    made = {
        "ground": f"{low}-{high}",
        "count": ", ".join(str(dice.randint(0, 5)) for _ in range(3)),
        "jigsaw": "".join(str(clip) for clip in dice.sample(range(1, 7), 6)),
    }[kind]
    text = TRUTHS[kind]["answer"] if dice.random() < 0.15 else made
    form = dice.choice(("{}", "{}", "{}", "{}.", " {}\n", "The answer is {}", "{} or so", "Answer: {}\nThanks."))
    return form.format(text) if dice.random() < 0.85 else dice.choice(JUNK)


def _answers(n: int) -> list[AnswerGroup]:
    dice = random.Random(0)
    tasks = list(TRUTHS)
    turns = [(tasks[number % len(tasks)], dice.random() < 0.2) for number in range(n)]
    return [AnswerGroup(task, some_answer(task, dice), cut) for task, cut in turns]


ANSWERS = _answers(1000)
