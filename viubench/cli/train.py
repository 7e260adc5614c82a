"""`viubench train`: GRPO on pretext items, to checkpoints that `viubench run --model` opens."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from viubench.cli.export_verl import Gpus, Nodes, Training
from viubench.cli.run import FrameCache
from viubench.errors import Exit

if TYPE_CHECKING:
    from trainer.config import TrainConfig
    from trainer.dataset import Questions
    from trainer.distributed import Ranks
    from trainer.model.policy import Policy
    from viubench.cli.progress import Update


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    config: Annotated[str, typer.Option(help="A recipe's name, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder of the checkpoints; a training that is there goes on.")],
    model: Annotated[str, typer.Option(help="Checkpoint folder or hub id, instead of the configuration's.")] = "",
    items: Annotated[str, typer.Option(help="Folder of training items (viubench build).")] = "",
    validation: Annotated[str, typer.Option(help="Folder of validation items, of other videos.")] = "",
    tests: Annotated[
        list[Path], typer.Option(help="Folder of test items, which must not share a video with these; repeatable.")
    ] = [],  # noqa: B006
    videos: Annotated[str, typer.Option(help="Where the videos lie now, when not where they lay at the build.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N; a GPU when there is one.")] = "",
    engine: Annotated[Literal["own", "verl"], typer.Option(help="This project's own loop, or verl.")] = "own",
    verl_python: Annotated[
        str, typer.Option(envvar="VIUBENCH_VERL_PYTHON", help="The python of verl's own environment.")
    ] = "",
    gpus: Gpus = 8,
    nodes: Nodes = 1,
    frame_cache: FrameCache = None,
    include_path: Annotated[list[Path], typer.Option(help="More folders with task YAML files.")] = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything but the model, and say it.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a model with the tasks' own scores as rewards."""
    from trainer.config import load
    from trainer.dataset import Questions
    from trainer.distributed import Ranks
    from viubench.engines.checkpoints import describe_checkpoint
    from viubench.errors import ViubenchError
    from viubench.tasks.registry import Catalogue
    from viubench.video.frame_cache import FrameCache, default_root

    with Ranks.join(device) as ranks:  # before all that may go wrong, so that one of them tells it
        chosen = load(config).given(model=model, train=items, validation=validation, videos=videos)
        if not chosen.model:
            raise ViubenchError("no model was named", where="--model", hint="a checkpoint folder or a hub id")
        if engine == "verl":
            by_verl = Training(out, verl_python, gpus, nodes, tests, frame_cache, include_path, quiet)
            if not dry_run:
                by_verl.run(chosen)
            elif not by_verl.dry_run(chosen):
                raise typer.Exit(Exit.NEGATIVE)
            return
        multiple = describe_checkpoint(chosen.model)["size_multiple"]
        catalogue, store = Catalogue(tuple(include_path)), FrameCache(frame_cache or default_root())
        questions = Questions.read(chosen, catalogue, store, tests=tests, multiple=multiple)
        if not dry_run:
            _train(chosen, out, questions, ranks, frame_cache, include_path, quiet=quiet or not ranks.first)
        elif ranks.first:
            print(_planned(chosen, questions))


def _train(
    config: TrainConfig,
    out: Path,
    questions: Questions,
    ranks: Ranks,
    frame_cache: Path | None,
    include_path: list[Path],
    *,
    quiet: bool,
) -> None:
    import torch
    from transformers.utils import logging

    from trainer.checkpoints.manager import best
    from trainer.grpo import train as grpo
    from trainer.harness_eval import Evaluation
    from trainer.rollouts.base import rollout_source
    from trainer.sft import warm_start
    from viubench.cli.progress import bar

    logging.set_verbosity_error()
    logging.disable_progress_bar()  # one bar is enough
    argv = ["viubench", *sys.argv[1:]]
    torch.set_flush_denormal(True)  # tiny gradients are slow to compute with and say nothing
    warnings.filterwarnings("ignore", message="The value of the smallest subnormal")  # numpy notices
    start = config.model
    if config.warm_start is not None:
        most = config.warm_start.steps
        with bar("warm start", quiet=quiet) as update:
            fresh = _opened(config, start, ranks)
            start = str(warm_start(config, out, questions, fresh, _shown(update, most), argv=argv))
    policy = _opened(config, start, ranks)
    evaluation = Evaluation(config, out, frame_cache, tuple(include_path)) if config.evaluate.harness else None
    with closing(rollout_source(config, policy)) as source, bar("training", quiet=quiet) as update:
        shown = _shown(update, config.steps)
        last = grpo(config, out, questions, policy, shown, source=source, evaluation=evaluation, argv=argv)
    if ranks.first:
        print(f"trained: {last}")
        if (top := best(out)) is not None:
            print(f"best: {top[0]} (validation score {top[1]:.3f})")


def _opened(config: TrainConfig, path: str, ranks: Ranks) -> Policy:
    """The checkpoint as the configuration trains it."""
    from trainer.model.policy import LoraConfig, Policy

    lora = LoraConfig(config.update.rank, config.update.alpha, tuple(config.update.targets))
    return Policy.open(
        path,
        dtype=config.dtype,
        lora=lora if config.update.kind == "lora" else None,
        train_vision=config.vision == "trained",
        device=ranks.device,
        keep_reference=config.kl > 0,
        seed=config.seed,
        split=config.update.split,
        ranks=ranks,
    )


def _shown(update: Update, steps: int) -> Callable[[dict[str, Any]], None]:
    """A progress bar as listener to log lines."""
    from trainer.checkpoints.metrics_log import summary

    return lambda told: update(told["step"] + 1, steps, summary(told))


def _planned(config: TrainConfig, questions: Questions) -> str:
    """What a training would do: a line a task, and the size of it all."""
    from tabulate import tabulate

    import evaluators
    from trainer.checks import floors

    graders = {name: evaluators.get(spec.name, **spec.params) for name, spec in questions.evaluators.items()}
    constant = floors(questions, graders, config)
    rows = []
    for task, mix in config.tasks.items():
        known, held_out = (
            sum(sample.task == task for sample in plan.samples) for plan in (questions.train, questions.held_out)
        )
        rows.append([task, known, held_out, mix.weight, mix.reward, constant[task]])
    heads = ["task", "training items", "validation items", "weight", "reward", "best constant"]
    answers = config.steps * config.groups * config.rollouts
    return "\n".join(
        [
            tabulate(rows, heads, floatfmt=("", "", "", "g", "", ".3f")),
            f"{config.steps} steps of {config.groups} questions, {config.rollouts} answers each: {answers:,} answers",
        ]
    )
