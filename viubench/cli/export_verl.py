"""`viubench export verl` and `viubench train --engine verl`: train with verl.

Example:
    $ viubench export verl --config videossr-8xh200 --items build/videossr-30k --out exported
    $ viubench train --engine verl --config videossr-8xh200 --items build/videossr-30k --out runs/verl
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from viubench.cli.run import takes
from viubench.cli.train import load_config, train, verl_questions


@takes("config items validation videos model gpus nodes frame_cache include_path quiet", train)
def verl(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the parquet, the frames and what verl loads.")],
    picture: Annotated[Literal["png", "jpg"], typer.Option(help="png is lossless, jpg is smaller.")] = "png",
    max_prompt: Annotated[int, typer.Option(min=1, help="Longest prompt, in tokens.")] = 8192,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode and write frames.")] = 2,
    **options: Any,
) -> None:
    """Export a training to verl: the questions of every step, frames, rewards, and overrides."""
    import sys

    from trainer.verl import export as verl_export
    from trainer.verl.launch import write_overrides
    from trainer.verl.overrides import check_supported, differences, overrides
    from viubench.cli.progress import bar

    chosen, gpus, nodes = load_config(options), options["gpus"], options["nodes"]
    check_supported(chosen, gpus * nodes)
    questions = verl_questions(chosen, options)
    with bar("writing frames", quiet=options["quiet"]) as update:
        written = verl_export.export(
            questions, out, max_prompt=max_prompt, picture=picture, workers=workers, progress=update
        )
    lines = overrides(chosen, written, out / "checkpoints", gpus=gpus, nodes=nodes)
    path = write_overrides(out, lines)
    for line in differences(chosen):
        print(f"note: {line}", file=sys.stderr)
    print(f"{chosen.max_steps} steps, {written.rows} questions in {written.parquet}")
    print(f"xargs -a {path} -d '\\n' python -m verl.trainer.main_ppo")
