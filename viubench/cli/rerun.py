"""`viubench rerun`: do a finished run again, and list every difference.

Example:
    viubench rerun runs/a --out runs/a-again
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from viubench.cli import files
from viubench.cli.run import takes
from viubench.errors import Exit, ViubenchError
from viubench.storage.secrets import MASK

if TYPE_CHECKING:
    from viubench.schema import Manifest

COMMANDS = ("run", "score", "import")
"""What writes a run folder."""


@takes("model videos data_root base_url engine_arg include_path frame_cache")
def rerun(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    *,
    out: Annotated[Path | None, typer.Option(help="New run folder; RUN-rerun by default.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write every difference there as JSON.")] = None,
    show: Annotated[int, typer.Option(min=0, help="Answers that differ to print.")] = 10,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    **moved: Any,
) -> None:
    """Do a finished run again and list every difference: exit 0 equal answers and scores, 1 others.

    The command in its manifest is repeated; options given here (where model, videos and server are now) replace its.
    """
    from reports.html.escape import clean
    from viubench.cli.rerun_tables import text
    from viubench.comparison.pair import Side
    from viubench.comparison.reruns import report

    files.check({"--json": json})
    before = Side.read(run)
    command = Command.of(before.manifest, run)
    again = _new_folder(run, out)
    given = {name: value for name, value in moved.items() if value}
    command.repeat(given | {"out": command.relative(again), "fresh": False, "quiet": quiet})
    result = report(before, Side.read(again))
    print(clean(text(result, show)))
    if json is not None:
        files.write(json, result.model_dump_json(by_alias=True, indent=1) + "\n", "--json", parents=True)
    raise typer.Exit(Exit.OK if result.equal else Exit.NEGATIVE)


class Command:
    """The command that made a run, as its manifest has it."""

    def __init__(self, argv: Sequence[str], run: Path) -> None:
        self.run = run.resolve()
        self.name = argv[1]
        self._command: Any = typer.main.get_command(_app()).commands[self.name]  # type: ignore[attr-defined]
        self._context = self._command.make_context(self.name, list(argv[2:]))

    @classmethod
    def of(cls, manifest: Manifest, run: Path) -> Command:
        """Raises ViubenchError for a run that was made by no command that can be repeated."""
        name = manifest.argv[1] if len(manifest.argv) > 1 else ""
        if name not in COMMANDS:
            by = f"by viubench {name}" if name else "from Python, with an object of its own"
            raise ViubenchError(f"{run} was made {by}: its manifest has no command to repeat", where=str(run))
        return cls(manifest.argv, run)

    @property
    def folder(self) -> Path:
        """Where the command was typed, if the run is still there; else where this one is."""
        out = Path(self._context.params["out"])
        above = len(out.parts)
        as_then = not out.is_absolute() and ".." not in out.parts and self.run.parts[-above:] == out.parts
        return self.run.parents[above - 1] if as_then else Path.cwd()

    def relative(self, path: Path) -> Path:
        """`path` from that folder, where it is below it: a rerun can be done again from its own place too."""
        return path.relative_to(self.folder) if path.is_relative_to(self.folder) else path

    def repeat(self, given: Mapping[str, Any]) -> None:
        """Do it again with other values of the options in `given`; what it prints is printed."""
        words = [self.name, *self.words(given)]
        before = sys.argv
        sys.argv = ["viubench", *words]  # what the new manifest is to hold
        try:
            with chdir(self.folder):
                self._command.main(words[1:], f"viubench {self.name}", standalone_mode=False)
        finally:
            sys.argv = before

    def words(self, given: Mapping[str, Any]) -> list[str]:
        """The options as typed, those of `given` (by name) in place of its own.

        Raises:
            ViubenchError: the command has no such option, or a secret of the manifest, which is masked, is not given.
        """
        options = {option.name: option for option in self._command.params}
        if foreign := [name for name in given if name not in options]:
            raise ViubenchError(
                f"{self.run} was made by viubench {self.name}", where=f"--{foreign[0]}".replace("_", "-")
            )
        words: list[str] = []
        for name, option in options.items():
            value = given.get(name, self._context.params[name])
            if value is None or value == option.get_default(self._context):
                continue
            for one in value if isinstance(value, list | tuple) else [value]:
                words += _typed(option, one)
                if MASK in words[-1]:
                    hint = f"name it again: viubench rerun {self.run} {' '.join(option.opts[:1])} ..."
                    raise ViubenchError(
                        f"the manifest does not hold the secret in {words[-1]}", where=option.opts[0], hint=hint
                    )
        return words


def _typed(option: Any, value: Any) -> list[str]:
    if option.param_type_name == "argument":
        return [str(value)]
    if isinstance(value, bool):
        return [option.opts[0] if value else option.secondary_opts[0]]
    return [option.opts[0], str(value)]


def _app() -> typer.Typer:
    from viubench.cli import app

    return app


def _new_folder(run: Path, out: Path | None) -> Path:
    """One that holds no finished run, whose answers would be taken for new ones."""
    if out is not None:
        if (out / "results.json").exists():
            hint = f"name another folder; viubench compare {run} {out} compares the two as they are"
            raise ViubenchError(f"{out} holds a finished run", where="--out", hint=hint)
        return out.resolve()
    names = (f"{run.resolve()}-rerun{number}" for number in chain([""], map("-{}".format, count(2))))
    return next(path for path in map(Path, names) if not (path / "results.json").exists())
