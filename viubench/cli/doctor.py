"""`viubench doctor`: checks of the installation, and hints for what failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viubench.cli.listing import Json, print_json
from viubench.errors import Exit

if TYPE_CHECKING:
    from viubench.system.doctor import Check


def doctor(
    thorough: Annotated[bool, typer.Option("--thorough", help="Also import the heavy packages; slow.")] = False,
    frame_cache: Annotated[Path | None, typer.Option(help="Where decoded frames are kept.")] = None,
    json: Json = False,
) -> None:
    """Check the installation; exit code 1 when something is at fault."""
    from viubench.system.doctor import checks
    from viubench.video.frame_cache import default_root

    found = list(checks(frame_cache or default_root(), thorough=thorough))
    if json:
        print_json([asdict(check) for check in found])
    ok = all(check.ok is not False for check in found) if json else print_checks(found)
    raise typer.Exit(Exit.OK if ok else Exit.NEGATIVE)


def print_checks(checks: Iterable[Check]) -> bool:
    """Print a line for each check, and a hint for those that failed; whether none did."""
    checks = list(checks)
    for check in checks:
        mark = {True: "ok", False: "BAD", None: "-"}[check.ok]
        print(f"{mark:>4}  {check.name}: {check.detail}")
        if check.ok is not True and check.hint:
            print(f"      try: {check.hint}")
    return all(check.ok is not False for check in checks)
