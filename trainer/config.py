"""The configuration of a training run: one strict YAML file, read whole before anything is loaded.

Example:
    >>> config = load("videossr-8xh200")
    >>> config.learning_rate, config.train_batch_size, config.num_generations
    (1e-06, 64, 8)

Defaults are those of the VideoSSR paper (arXiv 2511.06281, section 5 and the released script) where it states a value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from viubench.errors import ViubenchError, did_you_mean
from viubench.schema import Strict, content_hash
from viubench.storage import strict_yaml

RECIPES = Path(__file__).parent / "recipes"

# Keys that are not in `TrainConfig.hash`, beside rollout.engine_args: they may change when a run is resumed.
SILENT = (
    "run_name", "description", "items", "save_steps", "save_total_limit", "save_best", "checks", "harness_eval",
    "log_completions", "report_to", "micro_batch_size", "gradient_checkpointing", "max_steps",
)  # fmt: skip
SEE = "see docs/training.md; other fields of TRL's GRPOConfig are written under trl"

Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountOrNever = Annotated[int, Field(ge=0, le=1_000_000)]
Batch = Annotated[int, Field(ge=1, le=65_536)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class ItemFolders(Strict):
    """Folders that `viubench build` wrote, of different videos; may be left empty and given on the command line.
    `videos` is where the videos of both are now, when they have moved since the build."""

    train: str = ""
    validation: str = ""
    videos: str = ""


class TaskMix(Strict):
    """One task of the mixture: its weight against the others', at most how many items, and its reward: the evaluator's
    (`smooth`), 1 for the true answer, else 0 (`strict`), or a control (`random`)."""

    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    limit: Count | None = None
    reward: Literal["smooth", "strict", "random"] = "smooth"


class Finetuning(Strict):
    """Which weights are trained: all (`full`), or LoRA adapters on the named layers, scaled by lora_alpha / lora_r.
    `fsdp`: with `full`, shard weights, gradients and optimizer state over the processes (FSDP2). `load_in_4bit`: with
    `lora`, keep the frozen weights in 4 bits (QLoRA, arXiv 2305.14314); needs bitsandbytes."""

    type: Literal["lora", "full"] = "full"
    fsdp: bool = False
    load_in_4bit: bool = False
    lora_r: Annotated[int, Field(ge=1, le=4096)] = 64
    lora_alpha: Annotated[float, Field(gt=0, le=65_536)] = 128
    lora_target_modules: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip

    @model_validator(mode="after")
    def _shards_full_weights(self) -> Self:
        if self.fsdp and self.type == "lora":
            raise ValueError("fsdp is for type: full; adapters are small, and each process keeps its own copy")
        if self.load_in_4bit and self.type == "full":
            raise ValueError("load_in_4bit is for type: lora; weights of 4 bits cannot be trained themselves")
        return self


class Threshold(Strict):
    """Mean smooth score and share of exactly right answers, both in [0, 1], at which a task's warm start ends."""

    score: Share
    exact: Share


class WarmStart(Strict):
    """Supervised steps on the true answers before GRPO, until every task passes its threshold; reaching `max_steps`
    with a task below it is an error. Without thresholds there are `max_steps` steps. `weights` replace the mixture's,
    so that all tasks pass at about the same time."""

    max_steps: Count
    learning_rate: Rate = 1e-3
    warmup_steps: CountOrNever = 20
    train_batch_size: Batch = 32
    eval_steps: Count = 10
    weights: dict[str, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(default_factory=dict)
    thresholds: dict[str, Threshold] = Field(default_factory=dict)


class HarnessEval(Strict):
    """An evaluation of a checkpoint by `viubench run` on the validation items, every `eval_steps` steps; `engine_args`
    are those of its --engine-arg, `limit` is the first so many items of each task, all when none."""

    eval_steps: Count
    engine: Literal["vllm", "hf"] = "vllm"
    engine_args: dict[str, str] = Field(default_factory=dict)
    limit: Count | None = None


class Checks(Strict):
    """What stops a run that has gone wrong. `max_logprob_gap` is in nats, between rollout and trainer, on average over
    the tokens of a question's answers; none takes 0.01 in float32 and 0.2 in bfloat16. `patience` is the number of
    steps in a row in which no answer could be read, or no group had two different rewards; 0 never ends a run."""

    on_collapse: Literal["warn", "stop"] = "warn"
    max_logprob_gap: Annotated[float, Field(gt=0, le=100)] | None = None
    patience: CountOrNever = 20


class Curriculum(Strict):
    """With `reward_variance`, questions are drawn by how much rewards varied in recent groups of their difficulty (see
    `viubench.reward_groups.curriculum`): a share `floor` of them is drawn as without it; `decay` is what the groups so
    far count after each batch."""

    type: Literal["none", "reward_variance"] = "none"
    floor: Rate = 0.2
    decay: Rate = 0.9


class RolloutEngine(Strict):
    """What samples the rollouts: the policy itself, or vLLM in the same process with its own `engine_args`:
    `gpu_memory_utilization` is 0.3, `enable_sleep_mode` frees memory during the update."""

    engine: Literal["policy", "vllm"] = "policy"
    engine_args: dict[str, JsonValue] = Field(default_factory=dict)


class TrainConfig(Strict):
    """A training run. Keys that TRL's GRPOConfig has, or transformers' TrainingArguments, mean the same here; the table
    of docs/training.md has the others."""

    run_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    model: str = ""
    items: ItemFolders = ItemFolders()
    tasks: Annotated[dict[str, TaskMix], Field(min_length=1)]
    protocol: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    max_steps: Count
    train_batch_size: Batch = 64
    mini_batch_size: Batch | None = None
    num_iterations: Annotated[int, Field(ge=1, le=1000)] = 1
    num_generations: Annotated[int, Field(ge=2, le=1024)] = 8
    micro_batch_size: Batch = 1
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    max_completion_length: Annotated[int, Field(ge=1, le=131_072)] = 2048
    rollout: RolloutEngine = RolloutEngine()
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"] = "dapo"
    epsilon: Annotated[float, Field(gt=0, le=10)] = 0.2
    epsilon_high: Annotated[float, Field(gt=0, le=100)] | None = None
    beta: Annotated[float, Field(ge=0, le=100)] = 1e-3
    use_bias_correction_kl: bool = False
    importance_sampling_level: Literal["token", "sequence"] = "token"
    vllm_importance_sampling_correction: bool = True
    vllm_importance_sampling_mode: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = (
        "token_truncate"
    )
    vllm_importance_sampling_clip_max: Annotated[float, Field(gt=0, le=1000)] = 2.0
    scale_rewards: Literal["group", "batch", "none"] = "group"
    mask_truncated_completions: bool = False
    dynamic_sampling: Literal["none", "skip", "resample"] = "none"
    max_resamples: Annotated[int, Field(ge=1, le=100)] = 3
    curriculum: Annotated[Curriculum, Field(exclude_if=lambda one: one.type == "none")] = Curriculum()
    soft_punish_cache: CountOrNever = 0
    length_penalty: Share = 0.0
    learning_rate: Rate = 1e-6
    warmup_steps: CountOrNever = 0
    min_lr_ratio: Share = 1.0
    weight_decay: Share = 0.01
    max_grad_norm: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    finetuning: Finetuning = Finetuning()
    freeze_vision_tower: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    bf16: bool = False
    gradient_checkpointing: bool = False
    warm_start: WarmStart | None = None
    save_steps: Count = 100
    save_total_limit: Annotated[int, Field(ge=1, le=1000)] = 2
    save_best: bool = True
    eval_steps: CountOrNever = 0
    eval_limit: Count = 256
    harness_eval: HarnessEval | None = None
    checks: Checks = Checks()
    log_completions: CountOrNever = 16
    report_to: tuple[Literal["tensorboard", "trackio", "wandb"], ...] = ("tensorboard",)
    trl: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("report_to", mode="before")
    @classmethod
    def _one_logger_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.dtype == "bfloat16" and self.finetuning.type == "full":
            # A step of the paper's rate moves 0.75 % of bfloat16 weights, and 99.9 % of float32 ones.
            said = "weights in bfloat16 hardly move at such learning rates, each step being lost to rounding; take "
            raise ValueError(f"{said}dtype: float32 with bf16: true, which computes in bfloat16 over float32 weights")
        if self.warmup_steps > self.max_steps:
            raise ValueError(f"warmup_steps is {self.warmup_steps} of {self.max_steps} steps")
        if self.rollout.engine == "policy" and self.rollout.engine_args:
            raise ValueError("rollout.engine_args are vLLM's, and rollout.engine is policy")
        if self.rollout.engine == "vllm" and not 0.01 <= self.temperature <= 2:
            raise ValueError(f"temperature is {self.temperature}; vLLM samples at 0.01 to 2")
        if self.train_batch_size % (self.mini_batch_size or self.train_batch_size):
            raise ValueError(
                f"mini_batch_size {self.mini_batch_size} does not divide {self.train_batch_size} questions"
            )
        evaluated = {"harness_eval.eval_steps": self.harness_eval.eval_steps if self.harness_eval else 0}
        for name, steps in ({"save_steps": self.save_steps, "eval_steps": self.eval_steps} | evaluated).items():
            if steps % self.steps_per_batch:
                raise ValueError(f"{name} must be a multiple of the {self.steps_per_batch} optimizer steps of a batch")
        if (warm := self.warm_start) is not None:
            if warm.thresholds and (odd := set(warm.thresholds) ^ set(self.tasks)):
                # The mean over tasks hides one that has not begun to learn.
                one = sorted(odd)[0]
                raise ValueError(f"warm_start.thresholds and tasks must name the same tasks; {one!r} is in one")
            if odd := set(warm.weights) - set(self.tasks):
                raise ValueError(f"warm_start.weights names {sorted(odd)[0]!r}, which is none of the tasks")
        return self

    @property
    def steps_per_batch(self) -> int:
        """Optimizer steps on each batch of rollouts."""
        return self.num_iterations * (self.train_batch_size // (self.mini_batch_size or self.train_batch_size))

    def hash(self) -> str:
        """16 hex digits over what decides the weights beside the items (see `Questions.hash`) and their order."""
        return content_hash(
            self.model_dump(mode="json", exclude={"rollout": {"engine_args"}, **dict.fromkeys(SILENT, True)})
        )

    @property
    def max_logprob_gap(self) -> float:
        """`checks.max_logprob_gap`, or the default of the number format: above rounding, below missing pixels."""
        return self.checks.max_logprob_gap or (0.2 if self.bf16 or self.dtype == "bfloat16" else 0.01)

    def override(self, *, model: str = "", train: str = "", validation: str = "", videos: str = "") -> TrainConfig:
        """A copy with the command line's values in place of the file's; an empty text changes nothing."""
        items = {"train": train, "validation": validation, "videos": videos}
        changed = self.items.model_copy(update={key: text for key, text in items.items() if text})
        return self.model_copy(update={"items": changed} | ({"model": model} if model else {}))


def recipe_names() -> list[str]:
    """The names of the recipes, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load(path_or_name: str | Path) -> TrainConfig:
    """The configuration of a YAML file, or of a recipe by its name. Raises ViubenchError where there is no such recipe,
    or as `strict_yaml.load`: `where` is `file:line:column`."""
    text, recipes = str(path_or_name), recipe_names()
    if text not in recipes and Path(text).suffix not in (".yaml", ".yml"):
        hint = did_you_mean(text, recipes, f"there are: {', '.join(recipes)}; or name a .yaml file", "{!r}")
        raise ViubenchError(f"unknown training recipe: {text!r}", where="--config", hint=hint)
    return strict_yaml.load(RECIPES / f"{text}.yaml" if text in recipes else Path(text), TrainConfig, SEE)
