"""Handing a training set over to verl 0.9: a parquet its `RLHFDataset` reads, and the overrides of its configuration.

Example:
    >>> written = export(planned, Path("handed"), FrameStore(Path("cache")))
    >>> overrides(PAPER, train=written.parquet, reward=written.reward, out=Path("runs/verl"), rows=written.rows)[0]
    'data.train_files=["/handed/train.parquet"]'

Every video becomes a list of pictures: the frames viubench shows, at their size, so that no reader decodes or samples
again. verl tells a model the time of a frame as its number over `sample_fps`; times, also those of a true answer, are
therefore counted from the first frame shown (as in `viubench.export.lmms`). Both pixel limits of a video are its own
frame area, and the processor is told not to resize: sides are multiples of 32, so nothing changes the pixels.

Run against verl itself: nothing here. The tests compose the overrides and load the parquet where verl is installed.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2

from trainer import verl_reward
from viubench import atomic, planning
from viubench.engines.prompts import MARK, parts
from viubench.errors import MediaError, ViubenchError
from viubench.export.lmms import on_file_clock
from viubench.export.media import File, frame_rate
from viubench.planning import Planned
from viubench.runner import Wanted, clip_wants, shown
from viubench.schema import Sample
from viubench.video.frames import VideoInput
from viubench.video.store import FrameStore
from viubench.video.workers import KillablePool

MULTIPLE = 32
"""Pixels per side of one visual token of Qwen3-VL: patch 16, merged 2 by 2."""

PATCH = 16
FRAMES_PER_GROUP = 2
GROUP_TEXT = 16
"""At most so many tokens name the time of a group of frames and mark its begin and end."""

TEMPLATE = 64
"""At most so many tokens of a chat template around the one user turn."""

MAX_PROMPT = 8192
WRITE_SECONDS = 600.0
Picture = Literal["png", "jpg"]

PAPER: Mapping[str, Any] = {
    "train": "videossr-8xh200",
    "model": "Qwen/Qwen3-VL-8B-Instruct",
    "seed": 0,
    "steps": None,
    "groups": 64,
    "rollouts": 8,
    "temperature": 1.0,
    "max_tokens": 2048,
    "lr": 1e-6,
    "weight_decay": 0.01,
    "clip": 0.2,
    "kl": 1e-3,
    "max_grad_norm": 1.0,
    "normalise": "std",
    "update": {"kind": "full"},
    "vision": "trained",
    "save": {"every": 500},
}
"""The paper's recipe (section 5); weight decay, clip and gradient norm are verl's, it states none."""


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
        return groups * (self.height * self.width // MULTIPLE**2 + GROUP_TEXT)


@dataclass(frozen=True)
class Written:
    """An export: its files, its rows, and the ids of the questions left out because their prompt is too long."""

    parquet: Path
    reward: Path
    rows: int
    too_long: tuple[str, ...]


def export(
    planned: Planned,
    out: Path,
    store: FrameStore,
    *,
    name: str = "train",
    rewards: Mapping[str, str] | None = None,
    max_prompt: int = MAX_PROMPT,
    picture: Picture = "png",
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Write `out/<name>.parquet`, the pictures of its frames (`out/frames`) and `out/verl_reward.py`.

    Args:
        planned: made with `multiple=MULTIPLE`.
        rewards: task -> "smooth" or "strict"; smooth where it is silent.
        max_prompt: prompts that may have more tokens are left out and named in `Written.too_long`. The count is an
            upper bound that needs no tokenizer: a byte-level one never makes more tokens than UTF-8 bytes.
        picture: "png" keeps every pixel; "jpg" (quality 95) is about a tenth of the size and does not.

    Raises:
        ViubenchError: a video cannot be used, a question shows a still picture, or no question is left.
    """
    missing = planning.missing(planned)
    if missing.samples:
        raise ViubenchError(
            f"{missing.samples} of {missing.total} questions have videos that cannot be used; "
            f"the first: {missing.lines()[0]}",
            hint="an export holds every question or none: fetch the videos, or name other tasks",
        )
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    too_long = []
    samples = planned.plan.samples
    with KillablePool(workers, WRITE_SECONDS) as pool:
        under_way = [
            pool.submit(pictures, store.root, s, clip_wants(s, planned.plan), out, picture, name=s.clips[0].path)
            for s in samples
        ]
        for done, (sample, future) in enumerate(zip(samples, under_way, strict=True), start=1):
            try:
                videos = future.result()
            except MediaError as error:
                raise ViubenchError(f"a video of {sample.id} cannot be used: {error}") from error
            if _tokens(sample, videos) > max_prompt:
                too_long.append(sample.id)
            else:
                kind = (rewards or {}).get(sample.task, "smooth")
                rows.append(row(sample, videos, planned, out, len(rows), kind))
            progress(done, len(samples))
    if not rows:
        raise ViubenchError(
            f"no question is left: {len(too_long)} of {len(samples)} prompts may be over {max_prompt} tokens",
            hint="fewer --frames or --max-pixels",
        )
    _write(out / f"{name}.parquet", rows)
    shutil.copyfile(str(verl_reward.__file__), out / "verl_reward.py")
    return Written(out / f"{name}.parquet", out / "verl_reward.py", len(rows), tuple(too_long))


def pictures(store: Path, sample: Sample, wants: Sequence[Wanted], out: Path, picture: Picture) -> list[Video]:
    """The frames of each video a sample shows, below `out/frames`, named by content; those that are there are kept.

    What a worker process runs; raises MediaError as `FrameStore.get`.
    """
    frames = FrameStore(store)
    loaded = [frames.get(clip, root, sampling, resize) for root, clip, sampling, resize in wants]
    return [_pictures(sample, video, out, picture) for video in shown(sample, loaded)]


def row(
    sample: Sample, videos: Sequence[Video], planned: Planned, out: Path, index: int, kind: str = "smooth"
) -> dict[str, Any]:
    """One line of the parquet, as verl 0.9's `RLHFDataset` reads it."""
    task = planned.tasks[sample.task]
    files = [File(video.frames[0], len(video.frames), video.start) for video in videos]
    sample = on_file_clock(sample, files, task, planned.plan.graders[sample.task])
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


def overrides(
    config: Mapping[str, Any],
    *,
    train: Path,
    reward: Path,
    out: Path,
    rows: int,
    validation: Path | None = None,
    max_prompt: int = MAX_PROMPT,
    gpus: int = 8,
    nodes: int = 1,
) -> list[str]:
    """Hydra overrides of verl's `ppo_trainer` for a configuration with `PAPER`'s keys.

    Args:
        config: `steps` None is one epoch; `clip` None is verl's default, its first update being on-policy anyway.
        rows: questions in `train`; says how many epochs `steps` are.
        gpus: per node.

    Raises:
        ViubenchError: a key is missing, fewer rows than one step needs, or a checkpoint would fall on the end of an
            epoch, from where verl resumes without training (its issue 5725).
    """
    absent = sorted(PAPER.keys() - config.keys())
    if absent:
        raise ViubenchError(f"the configuration lacks {', '.join(absent)}")
    epochs = _epochs(config, rows)
    found = {
        **_data(config, train, validation, max_prompt),
        **_policy(config, max_prompt),
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": config["normalise"] == "std",
        "algorithm.use_kl_in_reward": False,
        "reward.custom_reward_function.path": str(reward.resolve()),
        "reward.custom_reward_function.name": "compute_score",
        "trainer.project_name": "viubench",
        "trainer.experiment_name": config["train"],
        "trainer.default_local_dir": str(out.resolve()),
        "trainer.logger": ["console", "tensorboard"],
        "trainer.n_gpus_per_node": gpus,
        "trainer.nnodes": nodes,
        "trainer.total_epochs": epochs,
        "trainer.total_training_steps": config["steps"],
        "trainer.save_freq": config["save"]["every"],
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
        "trainer.resume_mode": "auto",
    }
    return [f"{key}={_hydra(value)}" for key, value in found.items()]


def _data(config: Mapping[str, Any], train: Path, validation: Path | None, max_prompt: int) -> dict[str, Any]:
    return {
        "data.train_files": [str(train.resolve())],
        "data.val_files": [str((validation or train).resolve())],
        "data.train_batch_size": config["groups"],
        "data.max_prompt_length": max_prompt,
        "data.max_response_length": config["max_tokens"],
        "data.filter_overlong_prompts": False,
        "data.truncation": "error",
        "data.shuffle": True,
        "data.seed": config["seed"],
        "data.video_key": "videos",
        "data.image_patch_size": PATCH,
        # The group is empty in verl's file: a plain override could not add to it.
        "++data.mm_processor_kwargs.do_resize": False,
    }


def _policy(config: Mapping[str, Any], max_prompt: int) -> dict[str, Any]:
    model, actor, rollout = (f"actor_rollout_ref.{part}" for part in ("model", "actor", "rollout"))
    update = config["update"]
    lora = update["kind"] == "lora"
    return {
        f"{model}.path": str(config["model"]),
        f"{model}.use_remove_padding": True,
        f"{model}.enable_gradient_checkpointing": True,
        f"{model}.lora_rank": update["rank"] if lora else 0,
        **({f"{model}.lora_alpha": update["alpha"]} if lora else {}),
        f"{actor}.optim.lr": config["lr"],
        f"{actor}.optim.weight_decay": config["weight_decay"],
        f"{actor}.grad_clip": config["max_grad_norm"],
        f"{actor}.ppo_mini_batch_size": config["groups"],
        f"{actor}.ppo_micro_batch_size_per_gpu": 1,
        **{f"{actor}.clip_ratio{end}": config["clip"] for end in ("", "_low", "_high") if config["clip"] is not None},
        f"{actor}.use_kl_loss": config["kl"] > 0,
        f"{actor}.kl_loss_coef": config["kl"],
        f"{actor}.kl_loss_type": "low_var_kl",
        f"{actor}.entropy_coeff": 0,
        f"{actor}.freeze_vision_tower": config["vision"] == "frozen",
        f"{actor}.data_loader_seed": config["seed"],
        f"{actor}.fsdp_config.seed": config["seed"],
        f"{rollout}.name": "vllm",
        f"{rollout}.n": config["rollouts"],
        f"{rollout}.temperature": config["temperature"],
        f"{rollout}.top_p": 1.0,
        f"{rollout}.top_k": -1,
        f"{rollout}.seed": config["seed"],
        f"{rollout}.max_num_batched_tokens": max_prompt + config["max_tokens"],
        f"{rollout}.tensor_model_parallel_size": 1,
        f"{rollout}.gpu_memory_utilization": 0.6,
        f"{rollout}.log_prob_micro_batch_size_per_gpu": 1,
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": 1,
        "actor_rollout_ref.ref.fsdp_config.param_offload": True,
    }


def _epochs(config: Mapping[str, Any], rows: int) -> int:
    per_epoch: int = rows // config["groups"]
    if not per_epoch:
        raise ViubenchError(f"{rows} questions are fewer than the {config['groups']} of one step")
    steps, every = config["steps"] or per_epoch, config["save"]["every"]
    if math.lcm(every, per_epoch) < steps:
        raise ViubenchError(
            f"saving every {every} steps writes a checkpoint at the end of an epoch of {per_epoch} steps; "
            "verl resumes from such a one without training",
            where="save.every",
            hint=f"save every {every + 1} steps, or change the number of questions",
        )
    return math.ceil(steps / per_epoch)


def _hydra(value: Any) -> str:
    """A value in Hydra's override grammar; texts are quoted where it would read more into them."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join('"' + _escaped(str(entry)) + '"' for entry in value) + "]"
    if isinstance(value, str) and not all(letter.isalnum() or letter in "_-./" for letter in value):
        return '"' + _escaped(value) + '"'
    return str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")


def _tokens(sample: Sample, videos: Sequence[Video]) -> int:
    return TEMPLATE + len(sample.question.encode()) + sum(video.tokens for video in videos)


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


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    text, number = pa.string(), pa.int64()
    videos = {"video": pa.list_(text), "sample_fps": pa.float64(), "max_pixels": number, "min_pixels": number}
    schema = {
        "data_source": text,
        "prompt": pa.list_(pa.struct({"role": text, "content": text})),
        "videos": pa.list_(pa.struct(videos)),
        "ability": text,
        "reward_model": pa.struct({"style": text, "ground_truth": text}),
        "extra_info": pa.struct({"index": number, "id": text, "task": text, "answer": text}),
    }
    with atomic.replacing(path) as aside:
        parquet.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(schema)), aside)
