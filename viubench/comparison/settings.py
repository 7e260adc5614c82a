"""What differs between runs that ask the same items: settings of the protocol, model, engine, seed.

Example:
    found = settings([Side.read(Path("runs/frames=8")), Side.read(Path("runs/frames=32"))], ["mvbench"])
    found.labels, found.between(0, 1)
    # (['frames 8', 'frames 32'], 'frames 8 -> 32, all else equal')
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from viubench.comparison.pair import Side, fields_of
from viubench.schema import canonical_json

LED = {
    "sampling.min_frames": "sampling.frames",
    "resize.min_pixels": "resize.max_pixels",
    "resize.group": "resize.max_pixels",
}
"""Fields that follow another one where that is varied, and are then not named."""

SHOWN = 60
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class Settings:
    """Of each run, in their order, the values of what is not the same in all of them."""

    values: Sequence[Mapping[str, Any]]

    @property
    def names(self) -> list[str]:
        """What differs, in a fixed order."""
        return list(self.values[0])

    @property
    def labels(self) -> list[str]:
        """ "frames 16, max_pixels 65536"; "all alike" where nothing differs."""
        return [
            ", ".join(f"{name} {_text(value)}" for name, value in own.items()) or "all alike" for own in self.values
        ]

    def between(self, one: int, two: int) -> str:
        """What changes from one run to another: "frames 8 -> 32, all else equal"."""
        first, second = self.values[one], self.values[two]
        changes = [
            f"{name} {_text(first[name])} -> {_text(second[name])}" for name in first if first[name] != second[name]
        ]
        return ", ".join([*changes, "all else equal"]) if changes else "nothing differs"

    @property
    def numeric(self) -> str | None:
        """The one setting that differs, where all its values are numbers."""
        if len(self.names) != 1:
            return None
        name = self.names[0]
        numbers = all(isinstance(own[name], Real) and not isinstance(own[name], bool) for own in self.values)
        return name if numbers else None


def settings(sides: Sequence[Side], tasks: Collection[str]) -> Settings:
    """What differs among the runs in how they asked these tasks."""
    found = [_all(side, tasks) for side in sides]
    names = [name for name in dict.fromkeys(name for own in found for name in own) if _differs(found, name)]
    names = [name for name in names if LED.get(name) not in names]
    short = Counter(name.rsplit(".", 1)[-1] for name in found[0])
    shown = {name: name.rsplit(".", 1)[-1] if short[name.rsplit(".", 1)[-1]] == 1 else name for name in names}
    return Settings([{shown[name]: own.get(name) for name in names} for own in found])


def _all(side: Side, tasks: Collection[str]) -> dict[str, Any]:
    """Everything that could differ; of several tasks the value that all have, or those of them in words."""
    fields = [fields_of(side.manifest.protocols[task]) for task in sorted(tasks)]
    values: dict[str, Any] = {}
    for name in dict.fromkeys(name for own in fields for name in own):
        distinct = {_key(own.get(name)): own.get(name) for own in fields}
        values[name] = next(iter(distinct.values())) if len(distinct) == 1 else " and ".join(map(_text, distinct))
    engine = side.manifest.engine
    model = side.manifest.model
    arguments = {f"engine argument {name}": value for name, value in (engine.get("args") or {}).items()}
    about = {
        "model": model.get("id", model.get("name")),
        "weights": model.get("fingerprint"),
        "engine": engine.get("kind"),
        "deterministic": bool(engine.get("deterministic")),
    }
    return values | about | arguments | {"seed": side.manifest.seed}


def _differs(found: Sequence[Mapping[str, Any]], name: str) -> bool:
    return len({_key(own.get(name)) for own in found}) > 1


def _key(value: Any) -> str:
    return canonical_json(value.model_dump(mode="json") if hasattr(value, "model_dump") else value)


def _text(value: Any) -> str:
    plain = value if isinstance(value, str) else "none" if value is None else _key(value)
    return plain if len(plain) <= SHOWN else f"{plain[: SHOWN - 1]}…"
