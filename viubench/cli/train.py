"""`viubench train`: GRPO on pretext items, to checkpoints that `viubench run --model` opens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viubench.cli.run import FrameCache


def register(app: typer.Typer) -> None:
    app.command("train")(train)


def train(
    config: Annotated[str, typer.Option(help="A recipe's name, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder of the checkpoints; a training that is there goes on.")],
    model: Annotated[str, typer.Option(help="Checkpoint folder or hub id, instead of the configuration's.")] = "",
    items: Annotated[str, typer.Option(help="Folder of training items (viubench build).")] = "",
    validation: Annotated[str, typer.Option(help="Folder of validation items, of other videos.")] = "",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    frame_cache: FrameCache = None,
    include_path: Annotated[list[Path], typer.Option(help="More folders with task YAML files.")] = [],  # noqa: B006
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Train a model with the tasks' own scores as rewards."""
    from trainer.config import load
    from trainer.data import Questions
    from trainer.grpo import train as grpo
    from trainer.policy import LoraConfig, Policy
    from viubench.cli.progress import bar
    from viubench.tasks import Catalogue
    from viubench.video.store import FrameStore, default_root

    chosen = load(config).given(model=model, train=items, validation=validation)
    questions = Questions.read(chosen, Catalogue(tuple(include_path)), FrameStore(frame_cache or default_root()))
    lora = LoraConfig(chosen.update.rank, chosen.update.alpha, tuple(chosen.update.targets))
    policy = Policy.open(
        Path(chosen.model),
        dtype=chosen.dtype,
        lora=lora if chosen.update.kind == "lora" else None,
        train_vision=chosen.vision == "trained",
        device=device,
        keep_reference=chosen.kl > 0,
        seed=chosen.seed,
    )
    with bar("training", quiet=quiet) as update:
        last = grpo(chosen, out, questions, policy, lambda told: update(told["step"] + 1, chosen.steps))
    print(f"trained: {last}")
