"""`viubench doctor`: what this environment can do, what it lacks, and what to do about it."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor() -> None:
    """Check the installation; exit code 2 when something needed is missing."""
    from viubench.doctor import checks

    bad = False
    for check in checks():
        mark = {True: "ok", False: "BAD", None: "-"}[check.ok]
        print(f"{mark:>4}  {check.name}: {check.detail}")
        if check.ok is not True and check.hint:
            print(f"      try: {check.hint}")
        bad |= check.ok is False
    raise typer.Exit(2 if bad else 0)
