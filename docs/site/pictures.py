"""The pictures and the numbers of docs/explained.md, from one drawn clip: nothing is downloaded.

Example:
    python docs/site/pictures.py    # docs/explained/*.jpg, and the tables between the marks of docs/explained.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import evaluators
from viubench.pretext import generate
from viubench.pretext.generate import Drawn
from viubench.schema import CountItem, GroundItem, Item, JigsawItem, Sample, Task
from viubench.scoring import baselines
from viubench.tasks.registry import Catalogue
from viubench.video import synthetic
from viubench.video.filmstrip import positions
from viubench.video.frames import Pixels, VideoInput

DOCS = Path(__file__).parents[1]
FRAMES, SECONDS, SIZE = 48, 12.0, (128, 72)
ACROSS = 8
"""Frames in a row of a picture."""
ITEMS = 100
"""Items of a task that chance and blind are computed over."""
MARKED, PLAIN, PAPER, INK = (230, 110, 20), (200, 200, 200), (255, 255, 255), (30, 30, 30)
LABEL, GAP, EDGE = 22, 6, 3


@dataclass(frozen=True)
class Shown:
    """One question: its task, what was drawn, and what a model gets."""

    task: Task
    sample: Sample
    clips: tuple[VideoInput, ...]


def clip() -> VideoInput:
    """A drawn clip of `SECONDS` seconds, `FRAMES` frames evenly."""
    plan = synthetic.plan(0, 3, SECONDS, SIZE, FRAMES / SECONDS)
    pixels = np.stack(list(synthetic.clip_frames(plan))[:FRAMES])
    times = tuple(round(k * SECONDS / FRAMES, 3) for k in range(FRAMES))
    return VideoInput(pixels, FRAMES / SECONDS, tuple(range(FRAMES)), times, FRAMES, SECONDS, source="clip")


def questions(task: Task, video: VideoInput) -> Iterator[Shown]:
    """Questions of a task about the clip, seed after seed; draws that cannot be answered are left out."""
    for seed in range(10 * ITEMS):
        drawn = generate.draw(task.pretext, seed, [video])
        if isinstance(drawn, Drawn):
            item = Item(
                id=f"{task.task}-{seed}", task=task.task, video="clip.mp4", cluster="clip.mp4", seed=seed,
                params=drawn.params, question=generate.fill(task.question, drawn.question_fields), answer=drawn.answer,
            )  # fmt: skip
            yield Shown(task, generate.sample_of(item, task), generate.apply(drawn.params, seed, [video]))


def row(frames: Pixels, names: Sequence[str], marked: Sequence[bool], title: str) -> Pixels:
    """Frames side by side under a title, each with a name; those that are marked have an orange edge."""
    cells = []
    for frame, name, mark in zip(frames, names, marked, strict=True):
        cell = cv2.copyMakeBorder(frame, *[EDGE] * 4, cv2.BORDER_CONSTANT, value=MARKED if mark else PLAIN)
        cv2.rectangle(cell, (EDGE, EDGE), (EDGE + 9 * len(name) + 4, EDGE + 15), INK, -1)
        cv2.putText(cell, name, (EDGE + 3, EDGE + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, PAPER, 1, cv2.LINE_AA)
        cells.append(cv2.copyMakeBorder(cell, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=PAPER))
    strip = np.concatenate(cells, axis=1)
    head = np.full((LABEL, strip.shape[1], 3), 255, np.uint8)
    cv2.putText(head, title, (EDGE, LABEL - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.48, INK, 1, cv2.LINE_AA)
    return np.concatenate([head, strip])


def grounding(catalogue: Catalogue, video: VideoInput) -> Pixels:
    """A row for each perturbation of VIUBench, under the clip as it was."""
    places = positions(FRAMES, ACROSS)
    numbers = [str(place) for place in places]
    rows = [row(video.pixels[places], numbers, [False] * ACROSS, "the clip: every frame bears its number")]
    for name in catalogue.suites["viubench"].tasks:
        task = catalogue.task(name)
        if task.pretext.kind != "ground":
            continue
        shown = next(
            one for one in questions(task, video) if 12 <= one.sample.pretext.segment[0] <= 18
            and one.sample.pretext.segment[1] - one.sample.pretext.segment[0] >= 12
        )  # fmt: skip
        assert isinstance(shown.sample.pretext, GroundItem)
        start, stop = shown.sample.pretext.segment
        (given,) = shown.clips
        names = [str(given.indices[place]) for place in places]
        title = f"{shown.sample.pretext.perturb}: the true answer is {shown.sample.answer_text}"
        rows.append(row(given.pixels[places], names, [start <= place < stop for place in places], title))
    return np.concatenate(rows)


def counting(catalogue: Catalogue, video: VideoInput) -> Pixels:
    """The frames of one question that have shapes on them, and some that have none."""
    shown = next(
        one for one in questions(catalogue.task("viubench_count_easy"), video)
        if 5 <= len({shape.frame for shape in one.sample.pretext.shapes}) <= 7
    )  # fmt: skip
    assert isinstance(shown.sample.pretext, CountItem)
    drawn = {shape.frame for shape in shown.sample.pretext.shapes}
    others = [place for place in range(FRAMES) if place not in drawn]
    places = sorted(drawn | {others[k] for k in positions(len(others), ACROSS - len(drawn))})
    title = f"circles, squares, triangles: the true answer is {shown.sample.answer_text}"
    return row(shown.clips[0].pixels[places], [str(place) for place in places], [p in drawn for p in places], title)


def jigsaw(catalogue: Catalogue, video: VideoInput) -> Pixels:
    """Two frames of each clip of one question, in their order and as they are shown."""
    shown = next(questions(catalogue.task("viubench_jigsaw_easy"), video))
    assert isinstance(shown.sample.pretext, JigsawItem)
    order, size = shown.sample.pretext.order, len(shown.clips[0])
    middle = [size // 4 + size * k for k in range(len(order))]
    true = row(video.pixels[middle], [f"part {k + 1}" for k in range(len(order))], [False] * len(order), "the clip")
    frames = np.stack([one.pixels[size // 4] for one in shown.clips])
    title = f"shown to the model: the true answer is {shown.sample.answer_text}"
    return np.concatenate([true, row(frames, [f"clip {k + 1}" for k in range(len(order))], [True] * len(order), title)])


PICTURES = {"grounding": grounding, "counting": counting, "jigsaw": jigsaw}
ANSWERED = {
    "viubench_ground_mirror": lambda truth: [truth, [truth[0] + 1, truth[1] + 1], [0.0, SECONDS]],
    "viubench_count_easy": lambda truth: [truth, [truth[0] + 1, *truth[1:]], [1, 1, 1]],
    "viubench_jigsaw_easy": lambda truth: [truth, [*truth[:-2], truth[-1], truth[-2]], sorted(truth)],
}
"""Task -> a right answer, one that is nearly right, and one that is not, from the truth."""


def answers(catalogue: Catalogue, video: VideoInput) -> str:
    """What some answers to one question of each kind score, as rows of a table."""
    lines = ["| task | true answer | response | score | reward in training |", "| --- | --- | --- | --- | --- |"]
    for name, given in ANSWERED.items():
        shown = next(questions(catalogue.task(name), video))
        grade = evaluators.get(shown.task.evaluator.name, **shown.task.evaluator.params)
        truth = shown.sample.target
        for text in [*(grade.canonical(one) for one in given(truth)), "I cannot tell."]:
            answer = grade.parse(text, shown.sample)
            score = grade.score(answer, shown.sample)[grade.metric] if answer else 0.0
            reward = grade.reward(answer, shown.sample)
            read = "" if answer else " (`unparsed`)"
            lines.append(f"| {name} | `{grade.canonical(truth)}` | `{text}`{read} | {score:.2f} | {reward:.2f} |")
    return "\n".join(lines)


def chances(catalogue: Catalogue, video: VideoInput) -> str:
    """Chance and the best blind answer of each task of VIUBench, over `ITEMS` questions about the clip."""
    lines = ["| task | chance | blind | the blind answer |", "| --- | --- | --- | --- |"]
    for name in catalogue.suites["viubench"].tasks:
        task = catalogue.task(name)
        asked = [shown.sample for _, shown in zip(range(ITEMS), questions(task, video), strict=False)]
        found = baselines.of(task, asked)
        lines.append(f"| {name} | {found.chance:.1%} | {found.blind:.1%} | {found.statement} |")
    return "\n".join(lines)


def between(text: str, mark: str, content: str) -> str:
    """`text` with `content` between the two marks of that name."""
    replaced, n = re.subn(
        rf"(<!-- {mark} -->\n).*?(\n<!-- /{mark} -->)", lambda found: f"{found[1]}{content}{found[2]}", text, flags=re.S
    )
    assert n == 1, mark
    return replaced


def page(text: str) -> str:
    """docs/explained.md with its tables written anew."""
    catalogue, video = Catalogue(), clip()
    return between(between(text, "answers", answers(catalogue, video)), "chances", chances(catalogue, video))


def main() -> None:
    catalogue, video = Catalogue(), clip()
    for name, draw in PICTURES.items():
        picture = cv2.cvtColor(draw(catalogue, video), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(DOCS / "explained" / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 75])
    explained = DOCS / "explained.md"
    explained.write_text(page(explained.read_text()))


if __name__ == "__main__":
    main()
