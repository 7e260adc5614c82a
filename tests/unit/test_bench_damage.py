"""The benchmark of damaged videos finds what is shown wrong, and says what would have told it."""

from __future__ import annotations

import shutil

import pytest

from tests.bench.damage import DamageRow, Source, kept_wrong, table, trial
from tests.bench.damage.kinds import KINDS, write
from tests.bench.damage.trial import Price
from viubench.video import decoder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    path = tmp_path_factory.mktemp("sound") / "a.avi"
    write(KINDS["msmpeg4 avi"], path)
    return Source("msmpeg4 avi", path)


def read(source: Source, how: str, seed: int) -> DamageRow:
    row = trial._read(source, how, seed, 12)
    assert row is not None
    return row


def test_what_is_shown_is_held_against_the_sound_file(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as undamaged:
        undamaged.setattr(trial, "mutated", lambda sound, how, rng, target: shutil.copy(sound, target))
        row = read(source, "flipped", 0)
        assert (row.outcome, row.shown, row.wrong, row.differs) == ("ok", 12, 0, False)
    rows = [read(source, how, seed) for how in ("zeroed", "cut") for seed in range(3)]
    assert {row.outcome for row in rows} <= {"corrupt", "truncated"}
    assert kept_wrong(rows) == []
    monkeypatch.setattr(decoder, "CHECKS", {})
    wrong = kept_wrong([read(source, "zeroed", seed) for seed in range(3)])
    assert wrong, "without the checks it is shown, and the benchmark says that they would have told"
    assert all(dict(row.judges)["checks"] == "there" for row in wrong)


def test_the_table_counts_each_file_once() -> None:
    rows = [
        DamageRow("a", "cut", 0, "truncated"),
        DamageRow("a", "cut", 1, "ok", 4, 0),
        DamageRow("a", "cut", 2, "ok", 4, 1, judges=(("libvpx", "there"),)),
        DamageRow("a", "cut", 3, "ok", 4, 1),
    ]
    line = table(rows, [Price("a", 2.0, 3.0)]).splitlines()[2].split()
    assert line == ["a", "4", "25.0", "25.0", "50.0", "0", "25.0", "0", "25.0", "x", "1.50"]
