"""`viubench tasks`: the catalogue, one resolved task, and a check that tasks score as they should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli.examples import shown
from viubench.cli.listing import Json, print_json
from viubench.cli.run import takes
from viubench.errors import Exit, ViubenchError

app = typer.Typer(no_args_is_help=True, help="List and show tasks, and check that they score as they should.")


@app.command("list", epilog=shown("tasks list"))
@takes("include_path")
def list_(*, json: Json = False, **options: Any) -> None:
    """Every suite and task."""
    from reports.tables.terminal import table
    from viubench.tasks.registry import Catalogue

    suites, tasks = Catalogue(tuple(options["include_path"])).plain()
    if json:
        print_json({"suites": suites, "tasks": tasks})
        return
    rows = [
        [suite["suite"], "suite", f"{len(suite['tasks'])} tasks", "", "", suite.get("description", "")]
        for suite in suites
    ]
    for task in tasks:
        size = (task.get("rows") or {}).get("expected")
        shown = [task["task"], task["domain"], task["metric"], f"{size:,}" if size else "", _prompt_source(task)]
        rows.append([*shown, task.get("description", "")])
    print(table(rows, ["name", "domain", "metric", "rows", "published prompt", "description"], ["left"] * 6))


def _prompt_source(task: dict[str, Any]) -> str:
    """Where the published prompt of a task comes from."""
    published = (task.get("prompt") or {}).get("published") or {}
    if published.get("lmms"):
        return "lmms-eval"
    return "its rows" if published.get("row") else ("" if task.get("pretext") else "none")


@app.command(epilog=shown("tasks show"))
@takes("include_path")
def show(name: str, **options: Any) -> None:
    """One task (includes resolved) or suite, as YAML."""
    import yaml

    from viubench.tasks.registry import Catalogue

    catalogue = Catalogue(tuple(options["include_path"]))
    suite = catalogue.suites.get(name)
    data = (suite or catalogue.task(name)).model_dump(mode="json", exclude_defaults=True)
    print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100).rstrip())


@app.command(epilog=shown("tasks new"))
@takes("videos columns answer_kind")
def new(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Your questions: JSONL, CSV, TSV, Excel, Parquet, JSON.")
    ],
    *,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Task file to write; printed by default.")] = None,
    **options: Any,
) -> None:
    """Make a task file of your own questions: what their columns mean, for you to read and change."""
    from viubench.api.tasks import new_task
    from viubench.cli.files import write
    from viubench.cli.progress import logged
    from viubench.cli.run import pairs

    if out is not None and out.suffix not in (".yaml", ".yml"):
        raise ViubenchError(f"a task file ends in .yaml: {out}", where="--out")
    if out is not None and out.exists():
        raise ViubenchError(f"{out} is there already", where="--out", hint="name another file, or delete it")
    with logged():
        text = new_task(
            file,
            name=out.stem if out else "",
            videos=options["videos"],
            columns=pairs(options["columns"], "--columns"),
            answer_kind=options["answer_kind"],
        )
    if out is None:
        print(text.rstrip())
        return
    write(out, text, "--out")
    beside = out.resolve().parent == file.resolve().parent
    print(f"{out}: run it with --tasks {out}" + ("" if beside else f" --data-root {file.parent}"))


@app.command(epilog=shown("tasks validate"))
@takes("include_path")
def validate(
    names: Annotated[list[str] | None, typer.Argument(help="Tasks or YAML files; all when none is named.")] = None,
    data_root: Annotated[Path | None, typer.Option(help="Try them on these rows instead of the example rows.")] = None,
    **options: Any,
) -> None:
    """Grade a true answer (must be 1), a wrong one (below 1) and junk (unparsed) for every task."""
    from viubench.runner.validate import check_all
    from viubench.tasks.registry import Catalogue

    faults = check_all(names or [], Catalogue(tuple(options["include_path"])), data_root)
    raise typer.Exit(Exit.NEGATIVE if faults else Exit.OK)
