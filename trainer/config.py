"""What a training run is told: one strict YAML file, read whole before anything is loaded.

Example:
    >>> config = load("videossr-8xh200")
    >>> config.lr, config.groups, config.rollouts
    (1e-06, 64, 8)

A configuration is a recipe of `trainer/recipes` by its name, or a file. The defaults are those of the VideoSSR paper
(arXiv 2511.06281, section 5 and the released script) where it states a value.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from viubench.errors import ViubenchError
from viubench.schema import Strict, content_hash
from viubench.storage import strict_yaml

RECIPES = Path(__file__).parent / "recipes"

Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountOrNever = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Items(Strict):
    """Folders made by `viubench build`, of different videos; they may be left empty and given on the command line.

    `videos` is where the videos of both lie now, when not where they lay at the build.
    """

    train: str = ""
    validation: str = ""
    videos: str = ""


class TaskMix(Strict):
    """One task of the mixture: its weight against the others', at most how many items, and how it is rewarded.

    `smooth` is the evaluator's reward, in which near counts; `strict` is 1 for the true answer and 0 for all others.
    `random` is a number that has nothing to do with the answer: a control, whose run must not pass for a success.
    """

    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    limit: Count | None = None
    reward: Literal["smooth", "strict", "random"] = "smooth"


class Update(Strict):
    """Which weights are trained: all (`full`), or adapters of a rank and a scale alpha / rank on the named layers.

    `split`: with all weights, each of the processes that torchrun starts keeps a part of weights, gradients and
    optimiser state, for models whose training fits on no single device; else each keeps the whole.
    """

    kind: Literal["lora", "full"] = "full"
    split: bool = False
    rank: Annotated[int, Field(ge=1, le=4096)] = 64
    alpha: Annotated[float, Field(gt=0, le=65_536)] = 128
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    )  # fmt: skip

    @model_validator(mode="after")
    def _splits_what_is_trained(self) -> Self:
        if self.split and self.kind == "lora":
            raise ValueError("split is for kind: full; adapters are small, and each process keeps its own copy")
        return self


class Mark(Strict):
    """Mean smooth score and share of fully right answers, both in [0, 1], that end a task's warm start together."""

    score: Share
    exact: Share


class WarmStart(Strict):
    """Supervised steps on the true answers before GRPO, until every task is past its mark.

    `steps` is the horizon of the learning rate's decay; reaching it with a task below its mark is an error. `lr` is the
    rate at its peak, reached after `warm_up` steps, `batch` the questions a step, `look_every` the steps between two
    looks at the validation items (`evaluate.n` of each task). `weights` are the tasks' in place of the mixture's own:
    a task that is slow to learn is asked more often, so that all pass their marks at about the same time.
    """

    steps: Count
    lr: Rate = 1e-3
    warm_up: CountOrNever = 20
    batch: Annotated[int, Field(ge=1, le=65_536)] = 32
    look_every: Count = 10
    weights: dict[str, Annotated[float, Field(gt=0, le=1_000_000)]] = Field(default_factory=dict)
    marks: Annotated[dict[str, Mark], Field(min_length=1)]


class Save(Strict):
    """A checkpoint every so many steps and after the last; the newest `keep_last` stay, and the best if `keep_best`."""

    every: Count = 500
    keep_last: Annotated[int, Field(ge=1, le=1000)] = 2
    keep_best: bool = True


class Harness(Strict):
    """An evaluation of a checkpoint by `viubench run` on the validation items, every so many steps.

    `engine_args` are those of its --engine-arg; `limit` is the first so many items of each task, all when none.
    """

    every: Count
    engine: Literal["vllm", "hf"] = "vllm"
    engine_args: dict[str, str] = Field(default_factory=dict)
    limit: Count | None = None


class Evaluate(Strict):
    """A greedy look at the first `n` validation items of each task, every so many steps and beside each checkpoint.

    0 steps is never. `harness` adds whole evaluations through the harness's own engines.
    """

    every: CountOrNever = 0
    n: Count = 256
    harness: Harness | None = None


class Guards(Strict):
    """What stops a run that has gone wrong.

    `alarm`: whether a task whose answers collapse into one is only told (`warn`) or ends the run (`stop`).
    `max_gap`: nats by which the rollout's log-probabilities of a question's answers may differ from the trainer's, on
    average over the tokens; none takes 0.01 in float32 and 0.2 in bfloat16.
    """

    alarm: Literal["warn", "stop"] = "warn"
    max_gap: Annotated[float, Field(gt=0, le=100)] | None = None


class RolloutEngine(Strict):
    """What samples the answers of a step: the policy itself, or vLLM beside it in the same process.

    `engine_args` are vLLM's own, for example `max_model_len`, `gpu_memory_utilization` (0.3 if not given), or
    `enable_sleep_mode: true`, with which vLLM leaves the GPU's memory to the update.
    """

    engine: Literal["policy", "vllm"] = "policy"
    engine_args: dict[str, JsonValue] = Field(default_factory=dict)


class TrainConfig(Strict):
    """A training run.

    Attributes:
        train: the run's name.
        description: what it is for, and what of it was run where.
        model: a checkpoint folder or a hub id; may be left empty and given on the command line.
        items: the training and the validation items.
        tasks: the mixture, by task name.
        protocol: name or file of how a video is seen; empty means each task's own.
        seed: of the questions' order and of the sampled answers.
        steps: optimiser steps.
        groups: questions a step.
        rollouts: answers to each question.
        micro_batch: questions that go through the model together; it changes speed and memory, and rounding.
        temperature: of the sampled answers, and of the policy in the loss.
        max_tokens: longest answer, in tokens.
        rollout: what samples the answers.
        lr: learning rate of AdamW at its peak.
        warm_up: steps of linear rise to `lr`.
        final_lr: learning rate at the last step as a share of `lr`; the way there is linear.
        weight_decay: of AdamW.
        clip: half-width of the ratio's interval around 1; none leaves the ratio unclipped.
        kl: weight of the KL divergence to the base model in the loss, 0 for none.
        max_grad_norm: the gradient is scaled down to at most this L2 norm.
        normalise: an advantage is divided by its group's standard deviation (`std`), or not (`mean`).
        update: all weights or adapters.
        vision: whether the vision tower is trained or stays as it is.
        dtype: number format of the weights and of the forward pass.
        warm_start: supervised steps before, for a model that cannot answer at all.
        save: when checkpoints are written, and which stay.
        evaluate: when the validation items are looked at.
        guards: what stops a run that has gone wrong.
    """

    train: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    model: str = ""
    items: Items = Items()
    tasks: Annotated[dict[str, TaskMix], Field(min_length=1)]
    protocol: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    steps: Count
    groups: Annotated[int, Field(ge=1, le=65_536)] = 64
    rollouts: Annotated[int, Field(ge=2, le=1024)] = 8
    micro_batch: Annotated[int, Field(ge=1, le=65_536)] = 1
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    max_tokens: Annotated[int, Field(ge=1, le=131_072)] = 2048
    rollout: RolloutEngine = RolloutEngine()
    lr: Rate = 1e-6
    warm_up: CountOrNever = 0
    final_lr: Share = 1.0
    weight_decay: Share = 0.01
    clip: Annotated[float, Field(gt=0, lt=1)] | None = 0.2
    kl: Annotated[float, Field(ge=0, le=100)] = 1e-3
    max_grad_norm: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    normalise: Literal["std", "mean"] = "std"
    update: Update = Update()
    vision: Literal["frozen", "trained"] = "trained"
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    warm_start: WarmStart | None = None
    save: Save = Save()
    evaluate: Evaluate = Evaluate()
    guards: Guards = Guards()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.warm_up > self.steps:
            raise ValueError(f"warm_up is {self.warm_up} of {self.steps} steps")
        if self.rollout.engine == "policy" and self.rollout.engine_args:
            raise ValueError("rollout.engine_args are vLLM's, and rollout.engine is policy")
        if self.rollout.engine == "vllm" and not 0.01 <= self.temperature <= 2:
            raise ValueError(f"temperature is {self.temperature}; vLLM samples at 0.01 to 2")
        if self.warm_start is not None and (odd := set(self.warm_start.marks) ^ set(self.tasks)):
            # The mean over tasks hides one that has not begun to learn.
            raise ValueError(f"warm_start.marks and tasks must name the same tasks; only one names {sorted(odd)[0]!r}")
        if self.warm_start is not None and (odd := set(self.warm_start.weights) - set(self.tasks)):
            raise ValueError(f"warm_start.weights names {sorted(odd)[0]!r}, which is none of the tasks")
        return self

    def hash(self) -> str:
        """16 hex digits over what decides the weights beside the items (see `Questions.hash`) and their order.

        The name, the description, the items' folders, `save`, `guards` and `evaluate.harness` do not.
        """
        silent: dict[str, Any] = dict.fromkeys(("train", "description", "items", "save", "guards"), True)
        return content_hash(self.model_dump(mode="json", exclude=silent | {"evaluate": {"harness": True}}))

    @property
    def max_gap(self) -> float:
        """`guards.max_gap`, or its default for the number format: rounding is far below it, dropped pixels above."""
        return self.guards.max_gap or {"float32": 0.01, "bfloat16": 0.2}[self.dtype]

    def given(self, *, model: str = "", train: str = "", validation: str = "", videos: str = "") -> TrainConfig:
        """The same with what the command line gave in place of the file's; an empty text changes nothing."""
        items = {"train": train, "validation": validation, "videos": videos}
        changed = self.items.model_copy(update={key: text for key, text in items.items() if text})
        return self.model_copy(update={"items": changed} | ({"model": model} if model else {}))


def names() -> list[str]:
    """The recipes there are, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load(path_or_name: str | Path) -> TrainConfig:
    """The configuration of a YAML file, or of a recipe by its name.

    Raises:
        ViubenchError: no such recipe, or as `strict_yaml.load`: `where` is `file:line:column`.
    """
    text = str(path_or_name)
    if text in names():
        return strict_yaml.load(RECIPES / f"{text}.yaml", TrainConfig)
    if isinstance(path_or_name, Path) or text.endswith((".yaml", ".yml")):
        return strict_yaml.load(Path(path_or_name), TrainConfig)
    close = get_close_matches(text, names(), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names())}; or name a .yaml file"
    raise ViubenchError(f"unknown training recipe: {text!r}", where="--config", hint=hint)
