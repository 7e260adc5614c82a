"""`viubench export`: hand tasks, trainings and finished runs over to other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from viubench.cli.examples import shown
from viubench.cli.progress import warn
from viubench.cli.run import pairs, takes
from viubench.cli.train import load_config, train, verl_questions

if TYPE_CHECKING:
    from viubench.export.finished import FinishedRun

app = typer.Typer(no_args_is_help=True, help="Hand tasks, trainings and finished runs over to other tools.")
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
IncludePath = Annotated[list[Path], typer.Option(help="More folders with task YAML files.")]
ModelId = Annotated[str | None, typer.Option(help="The model as ORG/NAME; what the run says by default.")]


@app.command("lmms-eval", epilog=shown("export lmms-eval"))
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


@app.command(epilog=shown("export verl"))
@takes("config items validation videos model gpus nodes frame_cache include_path quiet", train)
def verl(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the parquet and what verl loads.")],
    max_prompt: Annotated[int, typer.Option(min=1, help="Longest prompt, in tokens.")] = 8192,
    **options: Any,
) -> None:
    """Export a training to verl: the questions of every step, rewards, and overrides; verl reads the frames itself."""
    from trainer.verl import export as verl_export
    from trainer.verl.export import check_supported, differences, overrides
    from trainer.verl.launch import write_overrides

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


@app.command(epilog=shown("export hub"))
def hub(
    run: RunArgument,
    *,
    out: Annotated[Path, typer.Option(help="A clone of the model's repository, or a new folder.")],
    protocol: Annotated[
        str | None, typer.Option(help="The board's protocol by name or YAML file; the task's own by default.")
    ] = None,
    task_id: Annotated[list[str], typer.Option(help="TASK=ID, the board's name of a task; repeatable.")] = [],  # noqa: B006
    source_url: Annotated[str | None, typer.Option(help="Link to the run, for the board.")] = None,
    include_path: IncludePath = [],  # noqa: B006
) -> None:
    """Write a run's scores for a Hugging Face model page, where it was asked under the board's own protocol."""
    from viubench.export.hub import Board, write

    finished = _finished(run, include_path)
    board = Board(protocol, pairs(task_id, "--task-id"), source_url, include_path)
    written, refused = write(finished, out, board)
    for name, why in refused.items():
        warn(f"refused: {name}: {why}")
    _list(written)


@app.command("every-eval-ever", epilog=shown("export every-eval-ever"))
def every_eval_ever(
    run: RunArgument,
    *,
    out: Annotated[Path, typer.Option(help="Folder; the files go below its folder data.")],
    organization: Annotated[str, typer.Option(help="Who evaluated the model.")],
    relationship: Annotated[
        Literal["first_party", "third_party", "collaborative", "other"],
        typer.Option(help="What the evaluator is to the model."),
    ] = "third_party",
    model_id: ModelId = None,
    include_path: IncludePath = [],  # noqa: B006
) -> None:
    """Write a run in the Every Eval Ever schema: a JSON file a task, and its samples."""
    from viubench.export.every_eval_ever import Evaluated, write

    finished = _finished(run, include_path, with_judges=True)
    _list(write(finished, out, Evaluated(finished.model_id(model_id), organization, relationship)))


@app.command("lmms-samples", epilog=shown("export lmms-samples"))
def lmms_samples(
    run: RunArgument,
    *,
    out: Annotated[Path, typer.Option(help="Folder; the files go below one named after the model.")],
    include_path: IncludePath = [],  # noqa: B006
) -> None:
    """Write a run as the files that lmms-eval logs: results, and a samples file a task."""
    from viubench.export.lmms_samples import write

    _list(write(_finished(run, include_path), out))


@app.command("inspect", epilog=shown("export inspect"))
def inspect_log(
    run: RunArgument,
    *,
    out: Annotated[Path, typer.Option(help="Folder of logs, for inspect view --log-dir.")],
    include_path: IncludePath = [],  # noqa: B006
) -> None:
    """Write a run as logs of Inspect, one .eval a task."""
    from viubench.export.inspect_log import require, write

    require()
    _list(write(_finished(run, include_path), out))


def _finished(path: Path, include_paths: list[Path], *, with_judges: bool = False) -> FinishedRun:
    """The run, and a warning for what of it cannot be exported."""
    from viubench.export.finished import FinishedRun

    run = FinishedRun.read(path, include_paths, with_judges=with_judges)
    for name in run.left_out:
        warn(f"left out: {name}: a judge alone scores it{', and none did' * with_judges}")
    return run


def _list(paths: list[Path]) -> None:
    from reports.html.escape import one_line

    for path in paths:
        print(one_line(str(path)))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
