"""What was typed, before a command reads it: a `~` that the shell left, and what no option may be.

Example:
    typed(get_command(app), ["run", "--out=~/runs/a"])   # ['run', '--out=/home/me/runs/a']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from viubench.errors import ViubenchError

MAY_BE_EMPTY = ("--system",)


def typed(command: Any, words: Sequence[str]) -> list[str]:
    """The words of a command line for a click command or group, `~/` being the home in every option's value, as shells
    do not see to in `--out=~/runs`.

    Raises:
        ViubenchError: an option without a value, as a variable of the shell leaves it that is not set, or one that is
            given twice, of which the first would not count.
    """
    rest, done = iter(words), list[str]()
    given: dict[str, str] = {}
    for word in rest:
        if word == "--":
            return [*done, word, *rest]
        if word in getattr(command, "commands", ()):
            command = command.commands[word]
        name, equals, _ = word.partition("=")
        option = next((one for one in command.params if name.startswith("-") and name in one.opts), None)
        if option is None or option.is_flag:
            done.append(word)
            continue
        value = _value(word, rest, bool(equals))
        if value is None:  # the command says that it is missing
            return [*done, word]
        _refuse(option, name, value, given)
        done += [f"{name}={value}"] if equals else [name, value]
    return done


def _value(word: str, rest: Iterator[str], equals: bool) -> str | None:
    value = word.partition("=")[2] if equals else next(rest, None)
    return str(Path(value).expanduser()) if value is not None and value.startswith("~/") else value


def _refuse(option: Any, name: str, value: str, given: dict[str, str]) -> None:
    if not value.strip() and name not in MAY_BE_EMPTY:
        raise ViubenchError(
            "it has no value", where=name, hint="is a variable of the shell not set? else leave the option out"
        )
    if not option.multiple and given.setdefault(option.name, value) != value:
        raise ViubenchError(f"it is given twice: {given[option.name]} and {value}", where=name, hint="leave one out")
