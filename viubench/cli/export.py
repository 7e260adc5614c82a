"""`viubench export`: hand tasks over to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli.export_verl import verl
from viubench.cli.run import takes

app = typer.Typer(no_args_is_help=True, help="Hand tasks over to other tools.")
app.command("verl")(verl)


@app.command("lmms-eval")
@takes("tasks videos data_root protocol frames fps max_pixels limit frame_cache include_path quiet")
def lmms_eval(
    *,
    out: Annotated[Path, typer.Option(help="Folder for lmms-eval's --include_path.")],
    seed: Annotated[int, typer.Option(help="Seed of the items.")] = 0,
    copy: Annotated[bool, typer.Option("--copy", help="Put data-set videos into the folder (hard links).")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode and write videos.")] = 2,
    **options: Any,
) -> None:
    """Write tasks for lmms-eval: rows, videos, YAML, and a README with the command that runs them."""
    import sys

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
