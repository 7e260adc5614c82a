"""Handing a training over to verl 0.9: the questions of every step as a parquet that its `RLHFDataset` reads.

Example:
    >>> written = export(questions, Path("handed"))
    >>> written.parquet, written.rows   # 468 steps of 64 questions
    (PosixPath('/handed/train.parquet'), 29952)

The parquet holds the questions in the order in which this project's own loop asks them, step after step, and verl is
told not to shuffle: mixture, limits, epochs and seed mean the same in both, and a batch of verl is a batch of ours.

Every video becomes a list of pictures: the frames viubench shows, so that no reader decodes or samples again. verl
tells a model the time of a frame as its number over `sample_fps`; times, also those of a true answer, are therefore
counted from the first frame shown (as in `viubench.export.lmms`). Both pixel limits of a video are its own frame area,
and the processor is told not to resize: with sides that are multiples of `MULTIPLE` nothing changes the pixels.

What of this was run against verl itself, and what was not: docs/verl.md.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import cv2

from trainer.dataset import Questions
from trainer.verl import reward as verl_reward
from viubench.engines.prompts import MARK, parts
from viubench.errors import MediaError, ViubenchError
from viubench.export.lmms import on_file_clock
from viubench.export.video_files import File, frame_rate
from viubench.runner.pipeline import clip_wants, shown
from viubench.runner.plan import Plan
from viubench.schema import Sample
from viubench.storage import atomic
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput
from viubench.video.loader import Wanted
from viubench.video.process_pool import KillablePool

MULTIPLE = 64
"""Pixels that the sides of a frame are a multiple of. Qwen3-VL needs 32, but qwen-vl-utils 0.0.14, with which verl
reads lists of pictures, rounds their sides to twice that before it rounds them to 32."""

TOKEN = 32
"""Pixels per side of one visual token of Qwen3-VL: patch 16, merged 2 by 2."""

FRAMES_PER_GROUP = 2
GROUP_TEXT = 16
"""At most so many tokens name the time of a group of frames and mark its begin and end."""

TEMPLATE = 64
"""At most so many tokens of a chat template around the one user turn."""

MAX_PROMPT = 8192
"""Longest prompt in tokens (VideoSSR, arXiv 2511.06281, released script)."""

WRITE_SECONDS = 600.0
ROWS_TOGETHER = 1024
AGENT = "viubench"
"""Name under which verl knows `trainer.verl.agent_loop.VideoAgentLoop`."""

Picture = Literal["png", "jpg"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Video:
    """Pictures of one video: paths below the export folder, frames a second, height and width in pixels."""

    frames: tuple[str, ...]
    fps: float
    height: int
    width: int
    start: float

    @property
    def tokens(self) -> int:
        """Tokens in a Qwen3-VL prompt, at most."""
        groups = -(-len(self.frames) // FRAMES_PER_GROUP)
        return groups * (self.height * self.width // TOKEN**2 + GROUP_TEXT)


@dataclass(frozen=True)
class Written:
    """An export.

    Attributes:
        parquet: the training questions, in order.
        reward: the file with the reward function.
        agent: the file that names verl the agent loop of `trainer.verl.agent_loop`.
        rows: training questions.
        validation: the validation questions, None where the configuration never looks at them.
        max_prompt: tokens that no prompt is longer than.
    """

    parquet: Path
    reward: Path
    agent: Path
    rows: int
    validation: Path | None = None
    max_prompt: int = MAX_PROMPT


def export(
    questions: Questions,
    out: Path,
    *,
    max_prompt: int = MAX_PROMPT,
    picture: Picture = "png",
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> Written:
    """Write `train.parquet`, the pictures of its frames (`frames/`) and what verl loads (reward, agent) to `out`.

    `validation.parquet` comes with it where the configuration looks at validation items. Pictures that are there
    already are kept.

    Args:
        questions: read with `multiple=MULTIPLE`.
        max_prompt: no prompt may have more tokens. The count is an upper bound that needs no tokenizer: a byte-level
            one never makes more tokens than UTF-8 bytes.
        picture: "png" keeps every pixel; "jpg" (quality 95) is about a tenth of the size and does not.
        progress: called with questions whose pictures are there, and questions.

    Raises:
        ViubenchError: a video cannot be used, a question shows a still picture, or its prompt may be too long.
    """
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    config = questions.config
    train = list(chain.from_iterable(questions.batch(step) for step in range(config.steps)))
    held_out = questions.validation(config.evaluate.n) if config.evaluate.every else []
    splits = {"train": (train, questions.train), "validation": (held_out, questions.held_out)}
    asked = {sample.id: (sample, plan) for samples, plan in splits.values() for sample in samples}
    videos = _videos(list(asked.values()), questions.store, out, picture, workers, progress)
    for sample, _ in asked.values():
        _refuse_long(sample, videos[sample.id], max_prompt)
    files = {name: out / f"{name}.parquet" for name, (samples, _) in splits.items() if samples}
    for name, path in files.items():
        samples = splits[name][0]
        _write(path, (row(sample, videos[sample.id], questions, out, n) for n, sample in enumerate(samples)))
    shutil.copyfile(str(verl_reward.__file__), out / "verl_reward.py")
    agent = f"- name: {AGENT}\n  _target_: trainer.verl.agent_loop.VideoAgentLoop\n"
    atomic.write(out / "verl_agent.yaml", agent.encode())
    return Written(
        files["train"], out / "verl_reward.py", out / "verl_agent.yaml", len(train), files.get("validation"), max_prompt
    )


def row(sample: Sample, videos: Sequence[Video], questions: Questions, out: Path, index: int) -> dict[str, Any]:
    """One line of the parquet, as verl 0.9's `RLHFDataset` reads it; its reward is the one its task is trained on.

    Raises:
        ViubenchError: the reward is random, which is a control of our own loop.
    """
    task, grader = questions.tasks[sample.task], questions.train.evaluators[sample.task]
    kind = questions.config.tasks[sample.task].reward
    if kind not in verl_reward.KINDS:
        raise ViubenchError(
            f"a {kind} reward cannot be handed to verl", where=f"tasks.{sample.task}", hint="use smooth or strict"
        )
    sample = on_file_clock(sample, [File(v.frames[0], len(v.frames), v.start) for v in videos], task, grader)
    truth = {
        "task": sample.task,
        "kind": kind,
        "evaluator": task.evaluator.model_dump(mode="json"),
        "target": sample.target,
        "options": list(sample.options),
        "params": sample.params,
    }
    return {
        "data_source": verl_reward.PREFIX + sample.task,
        "prompt": [{"role": "user", "content": content(sample.question, len(videos))}],
        "videos": [
            {
                "video": [str(out / frame) for frame in video.frames],
                "sample_fps": video.fps,
                "max_pixels": video.height * video.width,
                "min_pixels": video.height * video.width,
            }
            for video in videos
        ],
        "ability": "video",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
        "extra_info": {"index": index, "id": sample.id, "task": sample.task, "answer": sample.answer_text},
    }


def content(question: str, videos: int) -> str:
    """The user's turn with exactly one `<video>` per video; any other control text is data and is neutralised."""
    return "".join(MARK if part["type"] == "video" else part["text"] for part in parts(question, videos))


def pictures(store: Path, sample: Sample, wants: Sequence[Wanted], out: Path, picture: Picture) -> list[Video]:
    """The frames of each video a sample shows, below `out/frames`, named by content; those that are there are kept.

    What a worker process runs; raises MediaError as `FrameCache.get`.
    """
    frames = FrameCache(store)
    loaded = [frames.get(clip, root, sampling, resize) for root, clip, sampling, resize in wants]
    return [_pictures(sample, video, out, picture) for video in shown(sample, loaded)]


def _videos(
    asked: Sequence[tuple[Sample, Plan]],
    store: FrameCache,
    out: Path,
    picture: Picture,
    workers: int,
    progress: Progress,
) -> dict[str, list[Video]]:
    """The pictures of each question, by its id, written in worker processes."""
    found: dict[str, list[Video]] = {}
    with KillablePool(workers, WRITE_SECONDS) as pool:
        under_way = [
            pool.submit(pictures, store.root, s, clip_wants(s, plan), out, picture, name=s.clips[0].path)
            for s, plan in asked
        ]
        for done, ((sample, _), future) in enumerate(zip(asked, under_way, strict=True), start=1):
            try:
                found[sample.id] = future.result()
            except MediaError as error:
                raise ViubenchError(f"a video of {sample.id} cannot be used: {error}") from error
            progress(done, len(asked))
    return found


def _pictures(sample: Sample, video: VideoInput, out: Path, picture: Picture) -> Video:
    if video.still:
        raise ViubenchError(f"{sample.id} shows a still picture: only videos can be handed to verl")
    height, width = video.pixels.shape[1:3]
    if height % MULTIPLE or width % MULTIPLE:
        raise ViubenchError(
            f"frames of {height} x {width} would be resized by verl: sides must be multiples of {MULTIPLE}",
            where=sample.id,
        )
    folder = out / "frames" / video.key
    folder.mkdir(parents=True, exist_ok=True)
    names = tuple(f"frames/{video.key}/{number:04d}.{picture}" for number in range(len(video)))
    for name, pixels in zip(names, video.pixels, strict=True):
        if not (out / name).exists():
            quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if picture == "jpg" else []
            _, encoded = cv2.imencode(f".{picture}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
            atomic.write(out / name, encoded.tobytes())
    return Video(names, float(frame_rate(video)), height, width, video.times[0])


def _refuse_long(sample: Sample, videos: Sequence[Video], max_prompt: int) -> None:
    """To leave a question out would change the mixture, so one that is too long is an error."""
    tokens = TEMPLATE + len(sample.question.encode()) + sum(video.tokens for video in videos)
    if tokens > max_prompt:
        raise ViubenchError(
            f"the prompt of {sample.id} may have {tokens} tokens, more than {max_prompt}",
            where="--max-prompt",
            hint="raise it, or name a protocol with fewer frames or pixels",
        )


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    text, number = pa.string(), pa.int64()
    videos = {"video": pa.list_(text), "sample_fps": pa.float64(), "max_pixels": number, "min_pixels": number}
    columns = {
        "data_source": text,
        "prompt": pa.list_(pa.struct({"role": text, "content": text})),
        "videos": pa.list_(pa.struct(videos)),
        "ability": text,
        "reward_model": pa.struct({"style": text, "ground_truth": text}),
        "extra_info": pa.struct({"index": number, "id": text, "task": text, "answer": text}),
    }
    schema = pa.schema(columns)
    with atomic.replacing(path) as aside, parquet.ParquetWriter(aside, schema) as file:
        following = iter(rows)
        while some := list(islice(following, ROWS_TOGETHER)):
            file.write_table(pa.Table.from_pylist(some, schema=schema))
