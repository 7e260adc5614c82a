"""`viubench export`: hand tasks over to other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli.run import takes
from viubench.cli.train import load_config, train, verl_questions

app = typer.Typer(no_args_is_help=True, help="Hand tasks over to other tools.")


@app.command("lmms-eval")
@takes(
    "tasks videos data_root protocol frames fps max_pixels max_tokens temperature top_p limit frame_cache include_path "
    "quiet"
)
def lmms_eval(
    *,
    out: Annotated[Path, typer.Option(help="Folder for lmms-eval's --include_path.")],
    seed: Annotated[int, typer.Option(help="Seed of the items.")] = 0,
    copy: Annotated[bool, typer.Option("--copy", help="Put data-set videos into the folder (hard links).")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode and write videos; by default one a core.")
    ] = None,
    **options: Any,
) -> None:
    """Write tasks for lmms-eval: rows, videos, YAML, and a README with the command that runs them."""
    from viubench.cli.progress import bar, stages
    from viubench.export import lmms
    from viubench.runner.config import EvalConfig
    from viubench.runner.evaluate import plan_run

    quiet = options.pop("quiet")
    with stages(quiet=quiet) as progress:
        config = EvalConfig(
            seed=seed, out=out, workers=workers, progress=progress, argv=["viubench", *sys.argv[1:]], **options
        )
        plan = plan_run(config, None)
    with bar("writing videos", quiet=quiet) as update:
        names = lmms.export(plan, config, copy=copy, progress=update)
    print(f"{len(plan.samples)} questions in {out}; {out / 'README.md'} has the command")
    print(f"python -m lmms_eval --include_path {out} --tasks {','.join(names)} ...")


@app.command()
@takes("config items validation videos model gpus nodes frame_cache include_path quiet", train)
def verl(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the parquet and what verl loads.")],
    max_prompt: Annotated[int, typer.Option(min=1, help="Longest prompt, in tokens.")] = 8192,
    **options: Any,
) -> None:
    """Export a training to verl: the questions of every step, rewards, and overrides; verl reads the frames itself."""
    from trainer.verl import export as verl_export
    from trainer.verl.launch import write_overrides
    from trainer.verl.overrides import check_supported, differences, overrides

    chosen, gpus, nodes = load_config(options), options["gpus"], options["nodes"]
    check_supported(chosen, gpus * nodes)
    questions = verl_questions(chosen, options)
    written = verl_export.export(questions, out, max_prompt=max_prompt, log=_tell)
    lines = overrides(chosen, written, out / "checkpoints", gpus=gpus, nodes=nodes)
    path = write_overrides(out, lines)
    for line in differences(chosen):
        _tell(f"note: {line}")
    print(f"{chosen.max_steps} steps, {written.rows} questions in {written.parquet}")
    print(f"xargs -a {path} -d '\\n' python -m verl.trainer.main_ppo")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
