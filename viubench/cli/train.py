"""`viubench train`: GRPO on pretext items, to checkpoints that `viubench run --model` opens."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from viubench.cli.run import takes
from viubench.errors import Exit

if TYPE_CHECKING:
    from trainer.config import TrainConfig
    from trainer.dataset import Questions
    from trainer.model.policy import Policy
    from trainer.processes import Processes
    from viubench.cli.progress import Update


@takes("frame_cache follow_links include_path quiet")
def train(
    *,
    config: Annotated[str, typer.Option(help="Name of a training recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder of the training; one that is there is resumed.")],
    model: Annotated[str, typer.Option(help="Checkpoint folder or hub id, instead of the configuration's.")] = "",
    items: Annotated[str, typer.Option(help="Folder of training items (viubench build).")] = "",
    validation: Annotated[str, typer.Option(help="Folder of validation items, of other videos.")] = "",
    tests: Annotated[
        list[Path], typer.Option(help="Folder of test items, which must not share a video with these; repeatable.")
    ] = [],  # noqa: B006
    videos: Annotated[str, typer.Option(help="Folder the videos are in now, if they have moved since the build.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N; by default a GPU where there is one.")] = "",
    engine: Annotated[Literal["own", "verl"], typer.Option(help="This project's own loop, or verl.")] = "own",
    verl_python: Annotated[
        str, typer.Option(envvar="VIUBENCH_VERL_PYTHON", help="The python of verl's environment.")
    ] = "",
    gpus: Annotated[int, typer.Option(min=1, help="GPUs per node, for verl.")] = 8,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes, for verl.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything but the model and print the plan.")
    ] = False,
    **options: Any,
) -> None:
    """Train a model with GRPO; the rewards are the tasks' own scores."""
    from trainer.dataset import Questions
    from trainer.processes import Processes
    from viubench.engines.checkpoints import describe_checkpoint
    from viubench.errors import ViubenchError
    from viubench.tasks.registry import Catalogue
    from viubench.video.frame_cache import FrameCache, default_root

    options |= {"config": config, "model": model, "items": items, "validation": validation, "videos": videos}
    chosen = load_config(options)
    if not chosen.model:
        raise ViubenchError("no model was given", where="--model", hint="a checkpoint folder or a hub id")
    if engine == "verl":
        options |= {"gpus": gpus, "nodes": nodes}
        if not train_by_verl(chosen, out, verl_python, options, tests=tests, dry_run=dry_run):
            raise typer.Exit(Exit.NEGATIVE)
        return
    require_training()
    processes = Processes.join(device)
    multiple = describe_checkpoint(chosen.model)["size_multiple"]
    catalogue, cache = (
        Catalogue(tuple(options["include_path"])),
        FrameCache(options["frame_cache"] or default_root()),
    )
    questions = Questions.read(chosen, catalogue, cache, tests=tests, multiple=multiple)
    quiet_libraries()
    from trainer.arguments import check
    from trainer.stage import in_plain_words

    check(chosen, out, processes)
    if dry_run:
        print(_plan(chosen, questions))
        return
    claim(out)
    with in_plain_words(out):
        _train(chosen, out, questions, processes, options)


def require_training() -> None:
    """Raises ViubenchError where a package of the extra `train` is missing."""
    from viubench.errors import ViubenchError
    from viubench.system.doctor import TRAINING, version_of

    if missing := [name for name in TRAINING if version_of(name) is None]:
        raise ViubenchError(
            f"{missing[0]} is not installed", where="viubench train", hint="pip install 'viubench[train]'"
        )


def claim(out: Path) -> None:
    """Create the folder of a training. Raises ViubenchError where that is a file, cannot be written, or is a run."""
    from viubench.errors import ViubenchError
    from viubench.storage import record_log

    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".lock").touch()
    except OSError as error:
        raise ViubenchError(
            f"{out} cannot be written: {error.strerror}", where="--out", hint="name a folder, new or of a training"
        ) from None
    if (out / record_log.FILE).exists():
        raise ViubenchError(
            f"{out} is a run of viubench run, not a training", where="--out", hint="name a folder of its own"
        )


def load_config(options: Mapping[str, Any]) -> TrainConfig:
    """The recipe or YAML file named by `config`, with the model and folders that were given."""
    from trainer.config import load

    return load(options["config"]).override(
        model=options["model"], train=options["items"], validation=options["validation"], videos=options["videos"]
    )


def train_by_verl(
    config: TrainConfig, out: Path, python: str, options: dict[str, Any], *, tests: Sequence[Path], dry_run: bool
) -> bool:
    """Export, train and merge with verl's own interpreter `python`, and print the checkpoint's path; dry, print the
    checks of verl's environment instead, and return whether all passed."""
    from trainer.verl.export import check_supported
    from trainer.verl.launch import checks, launch
    from viubench.cli.doctor import print_checks
    from viubench.video.frame_cache import FrameCache, default_root

    gpus, nodes = options["gpus"], options["nodes"]
    check_supported(config, gpus * nodes)
    if dry_run:
        cache = FrameCache(options["frame_cache"] or default_root())
        return print_checks(checks(python, config, out, cache, gpus=gpus, nodes=nodes))
    questions = verl_questions(config, options, tests)
    finished = launch(questions, out, python, gpus=gpus, nodes=nodes)
    print(f"trained: {finished}")
    return True


def verl_questions(config: TrainConfig, options: dict[str, Any], tests: Sequence[Path] = ()) -> Questions:
    """The configured items with frame sizes that verl does not change; validation items only where needed."""
    from trainer.dataset import Questions
    from trainer.verl.export import MULTIPLE
    from viubench.tasks.registry import Catalogue
    from viubench.video.frame_cache import FrameCache, default_root

    return Questions.read(
        config,
        Catalogue(tuple(options["include_path"])),
        FrameCache(options["frame_cache"] or default_root()),
        tests=tests,
        multiple=MULTIPLE,
        need_validation=config.eval_steps > 0,
    )


def _train(
    config: TrainConfig,
    out: Path,
    questions: Questions,
    processes: Processes,
    options: Mapping[str, Any],
) -> None:
    import torch

    from trainer.grpo import train as grpo
    from trainer.harness_eval import HarnessEvaluation
    from trainer.rollouts.sampler import rollout_source
    from trainer.sft import warm_start
    from trainer.stage import best
    from viubench.cli.progress import bar

    quiet = options["quiet"] or not processes.is_main
    torch.set_flush_denormal(True)  # tiny gradients are slow to compute with and do not matter
    shared: dict[str, Any] = {"processes": processes, "argv": ["viubench", *sys.argv[1:]]}
    start = config.model
    if config.warm_start is not None:
        with bar("warm start", quiet=quiet) as update:
            shared["progress"] = _on_step(update, config.warm_start.max_steps)
            start = str(warm_start(config, out, questions, _open_policy(config, start, processes), **shared))
    policy = _open_policy(config, start, processes)
    if config.harness_eval:
        shared["evaluation"] = HarnessEvaluation(config, out, options["frame_cache"], tuple(options["include_path"]))
    with closing(rollout_source(config, policy)) as source, bar("training", quiet=quiet) as update:
        shared["progress"] = _on_step(update, config.max_steps)
        last = grpo(config, out, questions, policy, source=source, **shared)
    if processes.is_main:
        print(f"trained: {last}")
        if (top := best(out)) is not None:
            print(f"best: {top[0]} (validation score {top[1]:.3f})")


def quiet_libraries() -> None:
    """Keep what the libraries print to what a user can act on; before they are imported."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    warnings.filterwarnings("ignore", message="The value of the smallest subnormal")  # of numpy
    logging.getLogger("trl").setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()  # one bar is enough


def _open_policy(config: TrainConfig, path: str, processes: Processes) -> Policy:
    """The checkpoint, opened as the configuration trains it."""
    from trainer.model.policy import Policy

    return Policy.open(
        path,
        dtype=config.dtype,
        finetuning=config.finetuning,
        train_vision=not config.freeze_vision_tower,
        device=processes.device,
        bf16=config.bf16,
    )


def _on_step(update: Update, steps: int) -> Callable[[dict[str, Any]], None]:
    """A progress bar as callback of each step's metrics."""
    from trainer.checkpoints.metrics_log import summary

    return lambda metrics: update(metrics["step"] + 1, steps, summary(metrics))


def _plan(config: TrainConfig, questions: Questions) -> str:
    """The plan of a training: a line a task, and its size."""
    from tabulate import tabulate

    from trainer.checks import constant_baselines

    baselines = constant_baselines(questions, config)
    rows = []
    for task, mix in config.tasks.items():
        counts = [sum(s.task == task for s in plan.samples) for plan in (questions.train, questions.held_out)]
        rows.append([task, *counts, mix.weight, mix.reward, baselines[task]])
    heads = ["task", "training items", "validation items", "weight", "reward", "best constant"]
    answers = config.max_steps * config.train_batch_size * config.num_generations
    return "\n".join(
        [
            tabulate(rows, heads, floatfmt=("", "", "", "g", "", ".3f")),
            f"{config.max_steps} steps of {config.train_batch_size} questions, {config.num_generations} answers each: "
            f"{answers:,} answers",
        ]
    )
