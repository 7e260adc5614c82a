"""`viubench export verl` and `viubench train --engine verl`: train with verl.

Example:
    $ viubench export verl --config videossr-8xh200 --items build/videossr-30k --out exported
    $ viubench train --engine verl --config videossr-8xh200 --items build/videossr-30k --out runs/verl
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from viubench.cli.run import FrameCache, Include, Quiet

if TYPE_CHECKING:
    from trainer.config import TrainConfig
    from trainer.dataset import Questions

Gpus = Annotated[int, typer.Option(min=1, help="GPUs per node, for verl.")]
Nodes = Annotated[int, typer.Option(min=1, help="Nodes, for verl.")]


def verl(
    config: Annotated[str, typer.Option(help="Name of a training recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder for the parquet, the frames and what verl loads.")],
    items: Annotated[str, typer.Option(help="Folder of training items (viubench build).")] = "",
    validation: Annotated[str, typer.Option(help="Folder of validation items, of other videos.")] = "",
    videos: Annotated[str, typer.Option(help="Folder the videos are in now, if they have moved since the build.")] = "",
    model: Annotated[str, typer.Option(help="Base model, instead of the configuration's.")] = "",
    picture: Annotated[Literal["png", "jpg"], typer.Option(help="png is lossless, jpg is smaller.")] = "png",
    max_prompt: Annotated[int, typer.Option(min=1, help="Longest prompt, in tokens.")] = 8192,
    gpus: Gpus = 8,
    nodes: Nodes = 1,
    frame_cache: FrameCache = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode and write frames.")] = 2,
    include_path: Include = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Export a training to verl: the questions of every step, frames, rewards, and overrides."""
    import sys

    from trainer.config import load
    from trainer.verl import export as verl_export
    from trainer.verl.launch import write_overrides
    from trainer.verl.overrides import check_supported, differences, overrides
    from viubench.cli.progress import bar

    chosen = load(config).override(model=model, train=items, validation=validation, videos=videos)
    check_supported(chosen, gpus * nodes)
    questions = _questions(chosen, frame_cache, include_path)
    with bar("writing frames", quiet=quiet) as update:
        written = verl_export.export(
            questions, out, max_prompt=max_prompt, picture=picture, workers=workers, progress=update
        )
    lines = overrides(chosen, written, out / "checkpoints", gpus=gpus, nodes=nodes)
    path = write_overrides(out, lines)
    for line in differences(chosen):
        print(f"note: {line}", file=sys.stderr)
    print(f"{chosen.max_steps} steps, {written.rows} questions in {written.parquet}")
    print(f"xargs -a {path} -d '\\n' python -m verl.trainer.main_ppo")


@dataclass(frozen=True)
class VerlOptions:
    """Options of `viubench train --engine verl`; `python` is verl's own interpreter."""

    out: Path
    python: str
    gpus: int
    nodes: int
    tests: Sequence[Path]
    frame_cache: Path | None
    include_path: Sequence[Path]
    quiet: bool

    def dry_run(self, config: TrainConfig) -> bool:
        """Print the checks of verl's environment; whether all passed."""
        from trainer.verl.overrides import check_supported
        from trainer.verl.preflight import checks
        from viubench.cli.doctor import print_checks

        check_supported(config, self.gpus * self.nodes)
        return print_checks(checks(self.python, config, self.out, gpus=self.gpus, nodes=self.nodes))

    def run(self, config: TrainConfig) -> None:
        """Export, train and merge, and print the checkpoint's path."""
        from trainer.verl.launch import launch
        from trainer.verl.overrides import check_supported
        from viubench.cli.progress import bar

        check_supported(config, self.gpus * self.nodes)
        questions = _questions(config, self.frame_cache, self.include_path, self.tests)
        with bar("writing frames", quiet=self.quiet) as update:
            finished = launch(
                questions, self.out, self.python, gpus=self.gpus, nodes=self.nodes, workers=2, progress=update
            )
        print(f"trained: {finished}")


def _questions(
    config: TrainConfig, frame_cache: Path | None, include_path: Sequence[Path], tests: Sequence[Path] = ()
) -> Questions:
    """The configured items with frame sizes that verl does not change; validation items only where needed."""
    from trainer.dataset import Questions
    from trainer.verl.export import MULTIPLE
    from viubench.tasks.registry import Catalogue
    from viubench.video.frame_cache import FrameCache, default_root

    return Questions.read(
        config,
        Catalogue(tuple(include_path)),
        FrameCache(frame_cache or default_root()),
        tests=tests,
        multiple=MULTIPLE,
        need_validation=config.eval_steps > 0,
    )
