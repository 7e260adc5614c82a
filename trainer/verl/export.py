"""Export of a training to verl 0.9: the questions of every step as a parquet, and the options as Hydra overrides.

Example:
    written = export(questions, Path("exported"))
    written.parquet, written.rows   # 468 steps of 64 questions: '/exported/train.parquet', 29952
    overrides(config, written, Path("runs/verl"))[0]   # 'data.train_files=["/exported/train.parquet"]'

The questions are in the order of this project's own loop, and verl does not shuffle: a batch of verl is a batch of
ours. `trainer.verl.dataset` reads their frames through the frame cache. What verl cannot do is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from trainer.config import TrainConfig
from trainer.dataset import Questions
from trainer.verl import reward as verl_reward
from trainer.verl.frames import FrameSource, missing_bytes
from viubench.engines.prompts import MARK, parts
from viubench.errors import MediaError, ViubenchError
from viubench.schema import Sample
from viubench.storage import atomic
from viubench.video.frame_cache import FrameCache

MULTIPLE = 32  # pixels per side of a visual token of Qwen3-VL (patch 16, merged 2 by 2), and factor of frames' sides
GROUP = 2  # frames of a group, which has a time and vision marks
GROUP_TEXT, TEMPLATE = 16, 64  # tokens of these, and of a chat template around a turn, at most
MAX_PROMPT = 8192  # longest prompt in tokens (VideoSSR, arXiv 2511.06281, released script)
AGENT = b"- name: viubench\n  _target_: trainer.verl.agent_loop.VideoAgentLoop\n"

OPTIONS = Path(__file__).with_name("options.jinja")
SAVE_STEPS = 100  # steps from one checkpoint to the next, at most: two minutes each, so three hours are lost
# TRL's names of how the loss is averaged, and verl's.
LOSSES = {"dapo": "token-mean", "grpo": "seq-mean-token-mean", "dr_grpo": "seq-mean-token-sum-norm"}
# Keys that are not in the template: they must be at their defaults.
UNTOLD = (
    "mini_batch_size", "num_iterations", "use_bias_correction_kl", "importance_sampling_level",
    "mask_truncated_completions", "dynamic_sampling", "curriculum", "soft_punish_cache", "length_penalty", "trl",
)  # fmt: skip


@dataclass(frozen=True)
class VerlExport:
    """The files of an export: training questions (`rows` of them), reward function, registration of the agent loop,
    frame cache, validation questions if any. No prompt has more than `max_prompt` tokens."""

    parquet: Path
    reward: Path
    agent: Path
    cache: Path
    rows: int
    validation: Path | None = None
    max_prompt: int = MAX_PROMPT


def export(
    questions: Questions, out: Path, *, max_prompt: int = MAX_PROMPT, log: Callable[[str], None] = lambda line: None
) -> VerlExport:
    """Write `train.parquet` and what verl loads (reward, agent) to `out`; with validation also `validation.parquet`.
    `questions` are read with `multiple=MULTIPLE`; `log` is told the disk that all this takes, before it is written.
    Raises ViubenchError for a video that cannot be used, a prompt that may have more than `max_prompt` tokens, a random
    reward, or too small a disk."""
    import pyarrow as pa
    from pyarrow import parquet

    out, config = out.resolve(), questions.config
    train = list(chain.from_iterable(questions.batch(step) for step in range(config.max_steps)))
    held_out = questions.validation(config.eval_limit) if config.eval_steps else []
    sources = {sample.id: FrameSource.of(sample, questions.train) for sample in train}
    sources |= {sample.id: FrameSource.of(sample, questions.held_out) for sample in held_out}
    for sample in {sample.id: sample for sample in [*train, *held_out]}.values():
        tokens = most_tokens(sample, sources[sample.id], questions.store)
        if tokens > max_prompt:  # leaving it out would change the mixture
            said = f"the prompt of {sample.id} may have {tokens} tokens, more than {max_prompt}"
            hint = "raise it, or choose a protocol with fewer frames or pixels"
            raise ViubenchError(said, where="--max-prompt", hint=hint)
    tables = {
        name: pa.Table.from_pylist([_row(sample, sources[sample.id], questions, n) for n, sample in enumerate(samples)])
        for name, samples in {"train": train, "validation": held_out}.items()
        if samples
    }
    out.mkdir(parents=True, exist_ok=True)
    log(_disk(sum(table.nbytes for table in tables.values()), out, list(sources.values()), questions.store))
    files = {name: out / f"{name}.parquet" for name in tables}
    for name, table in tables.items():
        with atomic.replacing(files[name]) as aside:
            parquet.write_table(table, aside)
    shutil.copyfile(str(verl_reward.__file__), out / "verl_reward.py")
    atomic.write(out / "verl_agent.yaml", AGENT)
    loaded, cache = (out / "verl_reward.py", out / "verl_agent.yaml"), questions.store.root.absolute()
    return VerlExport(files["train"], *loaded, cache, len(train), files.get("validation"), max_prompt)


def _row(sample: Sample, source: FrameSource, questions: Questions, index: int) -> dict[str, Any]:
    """One line of the parquet, as verl 0.9's `RLHFDataset` reads it; its reward is the one its task is trained on."""
    task, kind = questions.tasks[sample.task], questions.config.tasks[sample.task].reward
    if kind not in verl_reward.KINDS:
        said = f"a {kind} reward cannot be exported to verl"
        raise ViubenchError(said, where=f"tasks.{sample.task}", hint="use smooth or strict")
    told, truth = source.model_dump_json(), {"task": sample.task, "kind": kind, "target": sample.target}
    truth |= {"evaluator": task.evaluator.model_dump(mode="json"), "params": dict(sample.params)}
    truth |= {"options": list(sample.options)}
    return {
        "data_source": verl_reward.PREFIX + sample.task,
        "prompt": [{"role": "user", "content": content(sample.question, source.shown)}],
        "videos": [{"video": told, "place": place} for place in range(source.shown)],
        "ability": "video",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
        "extra_info": {"index": index, "id": sample.id, "task": sample.task, "answer": sample.answer_text},
    }


def content(question: str, videos: int) -> str:
    """The user's turn with exactly one `<video>` per video; other control text is neutralised."""
    return "".join(MARK if part["type"] == "video" else part["text"] for part in parts(question, videos))


def most_tokens(sample: Sample, source: FrameSource, store: FrameCache) -> int:
    """Tokens of the prompt of a sample, at most, without a tokenizer: at most one a byte of UTF-8. Raises ViubenchError
    for a video that cannot be used."""
    try:
        height, width = source.size(store)
    except MediaError as error:
        raise ViubenchError(f"a video of {sample.id} cannot be used: {error}") from error
    groups = (source.item.frames + source.shown * (GROUP - 1)) // GROUP
    return TEMPLATE + len(sample.question.encode()) + groups * (height * width // MULTIPLE**2 + GROUP_TEXT)


def _disk(needed: int, out: Path, sources: list[FrameSource], store: FrameCache) -> str:
    """What an export takes in `out` and in the frame cache; ViubenchError where there is too little space."""
    frames, sentences = missing_bytes(sources, store), []
    for what, place, size in (("questions", out, needed), ("frames", store.root, frames)):
        free = shutil.disk_usage(place).free
        sentences.append(f"at most {size / 1e6:,.0f} MB of {what} in {place} ({free / 1e9:.0f} GB free)")
        if size > free:
            raise ViubenchError(f"too little space: {sentences[-1]}", where=str(place), hint="choose another folder")
    return f"{len(sources)} questions take " + ", and ".join(sentences)


def overrides(config: TrainConfig, written: VerlExport, out: Path, *, gpus: int = 8, nodes: int = 1) -> list[str]:
    """The overrides of a training on `written` with `gpus` per node into `out`; raises as `check_supported`."""
    check_supported(config, gpus * nodes)
    syntax = Environment(undefined=StrictUndefined, trim_blocks=True, finalize=hydra_value)  # noqa: S701  (no HTML)
    told: dict[str, Any] = {"micro": _micro_batch(config), "longest": written.max_prompt + config.max_completion_length}
    told |= {"losses": LOSSES, "save_steps": SAVE_STEPS, "out": out.resolve(), "gpus": gpus, "nodes": nodes}
    return syntax.from_string(OPTIONS.read_text("utf-8")).render(config=config, written=written, **told).splitlines()


def hydra_value(value: Any) -> str:
    """A value in Hydra's override grammar; texts are quoted where it would parse them."""
    if isinstance(value, str | Path) and all(letter.isalnum() or letter in "_-./" for letter in str(value)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).replace("${", "\\${")


def check_supported(config: TrainConfig, gpus: int) -> None:
    """Raises ViubenchError for a configuration that verl cannot train, on so many GPUs in all."""
    answers, micro = config.train_batch_size * config.num_generations, _micro_batch(config)
    faults = [
        ("model", not config.model, "no model was given", "give it with --model"),
        ("warm_start", config.warm_start is not None, "verl has no warm start",
         "run the warm start with this project's own loop and give its checkpoint as --model"),
        ("finetuning.type", config.finetuning.type == "lora",
         "LoRA is not exported to verl: its merger does not merge the adapters",
         "use finetuning: {type: full}, or this project's own loop"),
        ("bf16", not config.bf16, "verl computes in bfloat16, over float32 weights", "set bf16: true"),
        ("loss_type", config.loss_type not in LOSSES, f"{config.loss_type} is not exported",
         f"use {', '.join(LOSSES)}"),
        ("scale_rewards", config.scale_rewards == "batch", "verl scales advantages by group", "use group or none"),
        ("train_batch_size", answers % (gpus * micro) != 0,
         f"{config.train_batch_size} questions of {config.num_generations} answers are no multiple of micro-batches "
         f"of {micro} answers on {gpus} GPUs",
         "change train_batch_size, num_generations, micro_batch_size or the number of GPUs"),
    ]  # fmt: skip
    fields = TrainConfig.model_fields
    told = [key for key in UNTOLD if getattr(config, key) != fields[key].get_default(call_default_factory=True)]
    faults += [(key, True, f"{key} is not exported to verl", "leave it out for verl") for key in told]
    for where, fault, message, hint in faults:
        if fault:
            raise ViubenchError(message, where=where, hint=hint)


def differences(config: TrainConfig) -> list[str]:
    """What verl does differently from this project's own loop with the same configuration, a sentence each."""
    corrected = config.rollout.engine == "vllm" and config.vllm_importance_sampling_correction
    sentences = {
        f"a checkpoint is kept every {SAVE_STEPS} steps, not every {config.save_steps}": config.save_steps > SAVE_STEPS,
        "the learning rate decays along a cosine, not linearly": config.min_lr_ratio < 1,
        "verl keeps the last checkpoints, not the best": config.eval_steps and config.save_best,
        "the loss is not corrected for the log-probabilities of vLLM": corrected,
        "harness_eval is not run: evaluate the finished checkpoint with viubench run": config.harness_eval,
    }
    return [sentence for sentence, holds in sentences.items() if holds]


def _micro_batch(config: TrainConfig) -> int:
    """Answers in one forward pass on a GPU: verl counts these, this project questions with all of their answers."""
    return config.micro_batch_size * config.num_generations
