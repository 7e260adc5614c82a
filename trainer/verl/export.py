"""Export of a training to verl 0.9: the questions of every step as a parquet that its `RLHFDataset` reads.

Example:
    written = export(questions, Path("exported"))
    written.parquet, written.rows   # 468 steps of 64 questions
    # (PosixPath('/exported/train.parquet'), 29952)

The parquet has the questions in the order of this project's own loop, step after step, and verl does not shuffle:
mixture, limits, epochs and seed mean the same in both, and a batch of verl is a batch of ours.

Every video becomes a list of images: the frames viubench shows, so that they are not decoded or sampled again. In verl
the time of a frame is its index over `sample_fps`; times, also those of a true answer, are therefore relative to the
first frame (as in `viubench.export.lmms`). Both pixel limits of a video are its own frame area, and the processor does
not resize: with sides that are multiples of `MULTIPLE` the pixels stay as they are.

docs/verl.md says what of this was run against verl.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import cv2

from trainer.dataset import Questions
from trainer.verl import reward as verl_reward
from viubench.engines.prompts import MARK, parts
from viubench.errors import MediaError, ViubenchError
from viubench.export.lmms import on_file_clock
from viubench.export.video_files import File, frame_rate
from viubench.runner.pipeline import frame_requests, shown
from viubench.runner.plan import Plan
from viubench.schema import Sample
from viubench.storage import atomic
from viubench.video.frame_cache import FrameCache
from viubench.video.frames import VideoInput
from viubench.video.loader import FrameRequest
from viubench.video.process_pool import KillablePool

MULTIPLE = 64
"""Pixels that the sides of a frame are a multiple of. Qwen3-VL needs 32, but qwen-vl-utils 0.0.14, with which verl
reads lists of pictures, rounds their sides to twice that before it rounds them to 32."""

TOKEN = 32
"""Pixels per side of one visual token of Qwen3-VL: patch 16, merged 2 by 2."""

FRAMES_PER_GROUP = 2
GROUP_TEXT = 16
"""Tokens of the time and the vision marks of a group of frames, at most."""

TEMPLATE = 64
"""Tokens of a chat template around the one user turn, at most."""

MAX_PROMPT = 8192
"""Longest prompt in tokens (VideoSSR, arXiv 2511.06281, released script)."""

WRITE_SECONDS = 600.0
AGENT = "viubench"
"""Name of `trainer.verl.agent_loop.VideoAgentLoop` in verl."""

Picture = Literal["png", "jpg"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FrameFiles:
    """Image files of one video: absolute paths, frames a second, height and width in pixels, seconds at the first."""

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
class VerlExport:
    """The files of an export: training questions in order (`rows` of them), reward function, registration of the agent
    loop, validation questions if any. No prompt has more than `max_prompt` tokens."""

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
) -> VerlExport:
    """Write `train.parquet`, the frames as images (`frames/`) and what verl loads (reward, agent) to `out`.

    With validation also `validation.parquet`. Existing images are kept.

    Args:
        questions: read with `multiple=MULTIPLE`.
        max_prompt: no prompt may have more tokens. The count is an upper bound that needs no tokenizer: at most one
            token a byte of UTF-8.
        picture: "png" is lossless; "jpg" (quality 95) is about a tenth of the size.
        progress: called with questions whose images are written, and questions.

    Raises:
        ViubenchError: a video cannot be used, a question shows a still picture, its prompt may be too long, or its
            reward is random.
    """
    import pyarrow as pa
    from pyarrow import parquet

    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    config = questions.config
    train = list(chain.from_iterable(questions.batch(step) for step in range(config.max_steps)))
    held_out = questions.validation(config.eval_limit) if config.eval_steps else []
    plans = {sample.id: (sample, questions.train) for sample in train}
    plans |= {sample.id: (sample, questions.held_out) for sample in held_out}
    videos = _videos(list(plans.values()), questions.store, out, picture, workers, progress)
    for sample, _ in plans.values():
        tokens = TEMPLATE + len(sample.question.encode()) + sum(video.tokens for video in videos[sample.id])
        if tokens > max_prompt:  # leaving it out would change the mixture
            raise ViubenchError(
                f"the prompt of {sample.id} may have {tokens} tokens, more than {max_prompt}",
                where="--max-prompt",
                hint="raise it, or choose a protocol with fewer frames or pixels",
            )
    splits = {"train": train, "validation": held_out}
    files = {name: out / f"{name}.parquet" for name, samples in splits.items() if samples}
    for name, path in files.items():
        rows = [_row(sample, videos[sample.id], questions, n) for n, sample in enumerate(splits[name])]
        with atomic.replacing(path) as aside:
            parquet.write_table(pa.Table.from_pylist(rows), aside)
    shutil.copyfile(str(verl_reward.__file__), out / "verl_reward.py")
    agent = f"- name: {AGENT}\n  _target_: trainer.verl.agent_loop.VideoAgentLoop\n"
    atomic.write(out / "verl_agent.yaml", agent.encode())
    return VerlExport(
        files["train"], out / "verl_reward.py", out / "verl_agent.yaml", len(train), files.get("validation"), max_prompt
    )


def _row(sample: Sample, videos: Sequence[FrameFiles], questions: Questions, index: int) -> dict[str, Any]:
    """One line of the parquet, as verl 0.9's `RLHFDataset` reads it; its reward is the one its task is trained on."""
    task, evaluator = questions.tasks[sample.task], questions.evaluators[sample.task]
    kind = questions.config.tasks[sample.task].reward
    if kind not in verl_reward.KINDS:
        raise ViubenchError(
            f"a {kind} reward cannot be exported to verl", where=f"tasks.{sample.task}", hint="use smooth or strict"
        )
    sample = on_file_clock(sample, [File(v.frames[0], len(v.frames), v.start) for v in videos], task, evaluator)
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
                "video": video.frames,
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
    """The user's turn with exactly one `<video>` per video; other control text is neutralised."""
    return "".join(MARK if part["type"] == "video" else part["text"] for part in parts(question, videos))


def _videos(
    questions: Sequence[tuple[Sample, Plan]],
    store: FrameCache,
    out: Path,
    picture: Picture,
    workers: int,
    progress: Progress,
) -> dict[str, list[FrameFiles]]:
    """The image files of each question, by its id, written in worker processes."""
    files: dict[str, list[FrameFiles]] = {}
    with KillablePool(workers, WRITE_SECONDS) as pool:
        futures = [
            pool.submit(_pictures, store.root, s, frame_requests(s, plan), out, picture, name=s.clips[0].path)
            for s, plan in questions
        ]
        for done, ((sample, _), future) in enumerate(zip(questions, futures, strict=True), start=1):
            try:
                files[sample.id] = future.result()
            except MediaError as error:
                raise ViubenchError(f"a video of {sample.id} cannot be used: {error}") from error
            progress(done, len(questions))
    return files


def _pictures(
    store: Path, sample: Sample, wants: Sequence[FrameRequest], out: Path, picture: Picture
) -> list[FrameFiles]:
    """Image files of each video of a sample, in `out/frames`; raises MediaError as `FrameCache.get`."""
    frames = FrameCache(store)
    loaded = [frames.get(clip, root, sampling, resize) for root, clip, sampling, resize in wants]
    return [_frame_files(sample, video, out / "frames" / video.key, picture) for video in shown(sample, loaded)]


def _frame_files(sample: Sample, video: VideoInput, folder: Path, picture: Picture) -> FrameFiles:
    if video.still:
        raise ViubenchError(f"{sample.id} shows an image: only videos can be exported to verl")
    height, width = video.pixels.shape[1:3]
    if height % MULTIPLE or width % MULTIPLE:
        raise ViubenchError(
            f"frames of {height} x {width} would be resized by verl: sides must be multiples of {MULTIPLE}",
            where=sample.id,
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:04d}.{picture}" for number in range(len(video))]
    for file, pixels in zip(files, video.pixels, strict=True):
        if not file.exists():
            quality = [cv2.IMWRITE_JPEG_QUALITY, 95] if picture == "jpg" else []
            _, encoded = cv2.imencode(f".{picture}", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
            atomic.write(file, encoded.tobytes())
    return FrameFiles(tuple(map(str, files)), float(frame_rate(video)), height, width, video.times[0])
