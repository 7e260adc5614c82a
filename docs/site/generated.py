"""Pages of the documentation that are written by what they describe: benchmarks, commands, files of a run, Python API.

Example: mkdocs runs it (mkdocs.yml); by hand, into a folder:
    python docs/site/generated.py out
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from pydantic import BaseModel

import viubench
from viubench.cli import app
from viubench.cli.examples import EXAMPLES
from viubench.schema import Manifest, Record, Results, Task
from viubench.tasks.registry import Catalogue

SUITES_FIRST = ("viubench", "general", "long", "grounding", "reasoning", "video-2026")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; bars and line ends in cells are kept from ending them."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *cells])


def benchmarks() -> str:
    """Every task by suite, from its YAML."""
    catalogue = Catalogue()
    parts = ["# Every benchmark", "Written from the task files; `viubench tasks show NAME` prints one whole."]
    seen: set[str] = set()
    for name in (*SUITES_FIRST, *(one for one in catalogue.suites if one not in SUITES_FIRST)):
        suite = catalogue.suites[name]
        fresh = [one for one in suite.tasks if one not in seen]
        seen |= set(fresh)
        parts.append(f"## Suite {name}\n\n{suite.description or ''}")
        if len(fresh) < len(suite.tasks):
            parts.append("Also in it, told above: " + ", ".join(f"`{one}`" for one in suite.tasks if one not in fresh))
        parts += [benchmark(catalogue.task(one)) for one in fresh]
    return "\n\n".join(parts)


def benchmark(task: Task) -> str:
    """One task: what it asks, of what data, how it is scored."""
    facts = {
        "data": f"`{task.dataset_path}`, split `{task.split}`" if task.dataset_path else "made from any videos",
        "metric": f"`{task.metric}` by `{task.evaluator.name}`" if task.evaluator else f"`{task.metric}`",
        "published rules": ", ".join(f"`{one}`" for one in task.alternatives or []),
        "protocol": f"`{task.protocol}`" if isinstance(task.protocol, str) else "of its own",
        **{key: str(value) for key, value in task.metadata if key in ("paper", "source", "license", "note") and value},
    }
    rows = [[key, value] for key, value in facts.items() if value]
    return f"### {task.task}\n\n{task.description}\n\n{table(['', ''], rows)}"


def commands() -> str:
    """Every command with its options, from the command line itself."""
    parts = ["# Commands", "Written from the commands themselves; `--help` says the same."]
    for words, command in walk(typer.main.get_command(app), ["viubench"]):
        arguments = [one.name.upper() for one in command.params if one.param_type_name != "option"]
        usage = " ".join([*words, *arguments])
        parts.append(f"## {' '.join(words)}\n\n{inspect.cleandoc(command.help or '')}\n\n```\n{usage} [OPTIONS]\n```")
        if example := EXAMPLES.get(" ".join(words[1:])):
            parts.append(f"```sh\n{example}\n```")
        rows = [option(one) for one in command.params if one.param_type_name == "option" and one.name != "help"]
        if rows:
            parts.append(table(["option", "default", "what it does"], rows))
    return "\n\n".join(parts)


def walk(command: Any, words: list[str]) -> Iterator[tuple[list[str], Any]]:
    """The commands below a group, each with the words that call it."""
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, one in command.commands.items():
        if not one.hidden:
            yield from walk(one, [*words, name])


def option(parameter: Any) -> list[str]:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    shown = "" if default is None or callable(default) or default in ([], (), "", False) else f"`{default}`"
    return [names, "required" if parameter.required else shown, parameter.help or ""]


def files_of_a_run() -> str:
    """What stands in the files of a run folder, from their schema."""
    parts = [
        "# The run folder",
        "`manifest.json` says what was run, `records.jsonl` has one line for each answer, `results.json` the scores. "
        "All three are checked by these schemas when they are read.",
    ]
    for file, model in (("manifest.json", Manifest), ("records.jsonl", Record), ("results.json", Results)):
        parts.append(f"## {file}\n\n{inspect.cleandoc(model.__doc__ or '')}\n\n{fields(model)}")
    return "\n\n".join(parts)


def fields(model: type[BaseModel]) -> str:
    rows = [
        [f"`{field.alias or name}`", f"`{inspect.formatannotation(field.annotation)}`".replace("viubench.schema.", "")]
        for name, field in model.model_fields.items()
    ]
    return table(["field", "type"], rows)


def api() -> str:
    """The public names of the package; mkdocstrings fills them in."""
    parts = ["# Python API"]
    for name in sorted(viubench.__all__):
        found = getattr(viubench, name)
        if callable(found):
            place = f"{found.__module__}.{found.__qualname__}"
            parts.append(f"::: {place}\n    options: {{heading: viubench.{name}, toc_label: viubench.{name}}}")
    return "\n\n".join(parts)


PAGES = {
    "reference/benchmarks.md": benchmarks,
    "reference/commands.md": commands,
    "reference/run-folder.md": files_of_a_run,
    "reference/api.md": api,
}


def write(folder: Path) -> None:
    """Write all pages below a folder."""
    for name, page in PAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(page() + "\n")


def on_files(files: Any, config: Any) -> Any:
    """mkdocs asks for more files here."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page() + "\n"))
    return files


if __name__ == "__main__":
    write(Path(sys.argv[1]))
