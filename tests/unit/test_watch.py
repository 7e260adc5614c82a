from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import checkpoint_folders as folders
import paired_runs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watched_runs import OPTIONS, Clock, run_of

from viubench.engines.checkpoints import fingerprint
from viubench.errors import ViubenchError
from viubench.schema import WatchEntry
from viubench.storage.run_dir import read_manifest, write_json
from viubench.watch.checkpoints import incomplete
from viubench.watch.history import FILE, History, read
from viubench.watch.scheduler import SETTLING, Scheduler, Waiting, busy, scores


class Killed(BaseException):
    """What ends a process at once."""


class Answers:
    """Answers for a model, and remembers for which ones; killed at the points it is told."""

    def __init__(self, share: Callable[[Path], float] = lambda model: 0.5) -> None:
        self.share = share
        self.done: list[tuple[str, Path]] = []
        self.begun: list[Path] = []
        self.kill = ""

    def __call__(self, model: Path, run: Path) -> str:
        assert incomplete(model) == "", "a half-written checkpoint must not be evaluated"
        self._killed("before")
        self.begun.append(run)
        run.mkdir(parents=True, exist_ok=True)
        (run / "records.jsonl").write_text("begun")
        self._killed("within")
        if (model / "broken").exists():
            return "it does not open"
        run_of(run, model, self.share(model))
        self.done.append((model.name, run))
        self._killed("after")
        return ""

    def _killed(self, point: str) -> None:
        if self.kill == point:
            self.kill = ""
            raise Killed


def opened(place: Path, clock: Clock, history: History, options: Sequence[str] = OPTIONS) -> Scheduler:
    return Scheduler(place, history, options, settle=5, clock=clock)


def settled(place: Path, history: History, answers: Answers, options: Sequence[str] = OPTIONS) -> list[WatchEntry]:
    """All that is due, evaluated; time goes by as it must."""
    clock = Clock()
    watch, entries = opened(place, clock, history, options), []
    watch.scan()
    clock.now += 10
    while (turn := watch.scan()).due is not None:
        entries.append(watch.evaluate(turn.due, answers))
        history.append(entries[-1])
    return entries


# --- what is due ----------------------------------------------------------------------------------------------


def test_a_checkpoint_is_due_when_it_is_whole_and_nothing_has_changed_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    with History.open(tmp_path / "watch") as history:
        watch = opened(tmp_path, clock, history)
        folders.write(tmp_path / "checkpoint-1", leave_out="tokenizer.json")
        clock.now += 100
        assert watch.scan().waiting == (
            Waiting("checkpoint-1", 1, "not a complete checkpoint: it lacks a tokenizer (tokenizer.json)"),
        )
        folders.write(tmp_path / "checkpoint-1")
        clock.now += 100
        assert watch.scan().waiting == (Waiting("checkpoint-1", 1, SETTLING),)
        clock.now += 4.9
        (tmp_path / "checkpoint-1" / "optimizer.pt").touch()
        watch.scan()
        clock.now += 4.9
        assert watch.scan().due is None
        clock.now += 0.1
        assert (due := watch.scan().due) is not None
        assert due.checkpoint.step == 1
        assert watch.scan().waiting == ()


def test_what_is_there_at_the_start_has_had_its_time(tmp_path: Path) -> None:
    folders.write(tmp_path / "checkpoint-1")
    time.sleep(0.06)
    with History.open(tmp_path / "watch") as history:
        assert Scheduler(tmp_path, history, OPTIONS, settle=0.05).scan().due is not None
        assert Scheduler(tmp_path, history, OPTIONS, settle=600).scan().due is None


def test_the_trainers_own_mark_needs_no_time(tmp_path: Path) -> None:
    from trainer.checkpoints import checkpoint

    with checkpoint.atomic_folder(tmp_path / "checkpoint-000001") as aside:
        folders.write(aside)
        (aside / "trainer" / "state.json").write_text("{}")
    with History.open(tmp_path / "watch") as history:
        watch = opened(tmp_path, Clock(), history)
        assert watch.scan().due is not None
        (tmp_path / "checkpoint-000001" / "tokenizer.json").write_text("half a copy")
        assert "trainer/files.json" in watch.scan().waiting[0].why


def test_what_cannot_be_read_waits_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.write(tmp_path / "checkpoint-1")
    folders.write(tmp_path / "checkpoint-2", seed=2)

    def unreadable(model: Path, base_model: str | None) -> str:
        if model.name == "checkpoint-1":
            raise PermissionError(13, "Permission denied", str(model))
        return "f"

    monkeypatch.setattr("viubench.watch.scheduler.fingerprint", unreadable)
    with History.open(tmp_path / "watch") as history:
        clock = Clock()
        watch = opened(tmp_path, clock, history)
        watch.scan()
        clock.now += 10
        turn = watch.scan()
        assert turn.due is not None
        assert turn.due.checkpoint.step == 2
        assert [one.step for one in turn.waiting] == [1]
        assert turn.waiting[0].why.startswith("it cannot be read: [Errno 13] Permission denied")


def test_steps_come_in_order_and_the_removed_are_left_out(tmp_path: Path) -> None:
    for step in (300, 20, 100):
        folders.write(tmp_path / f"checkpoint-{step}", seed=step)
    with History.open(tmp_path / "watch") as history:
        answers = Answers()
        assert [entry.step for entry in settled(tmp_path, history, answers)] == [20, 100, 300]
        shutil.rmtree(tmp_path / "checkpoint-20")
        folders.write(tmp_path / "checkpoint-50", seed=50)
        assert [entry.step for entry in settled(tmp_path, history, answers)] == [50]
        assert [entry.step for entry in history.latest()] == [20, 50, 100, 300]


def test_other_weights_under_the_same_name_are_evaluated_too(tmp_path: Path) -> None:
    with History.open(tmp_path / "watch") as history:
        answers = Answers()
        for seed in (1, 2, 1):
            folders.write(tmp_path / "checkpoint-1", seed=seed)
            settled(tmp_path, history, answers)
        assert len(answers.done) == 2
        assert len({run for _, run in answers.done}) == 2
        assert len(history.latest()) == 1


def test_a_failure_is_put_down_and_tried_again_only_with_other_weights_or_options(tmp_path: Path) -> None:
    folders.write(tmp_path / "checkpoint-1", seed=1)
    (tmp_path / "checkpoint-1" / "broken").touch()
    with History.open(tmp_path / "watch") as history:
        answers = Answers()
        for _ in range(3):
            settled(tmp_path, history, answers)
        assert [(e.status, e.reason, e.tasks) for e in history.entries] == [("failed", "it does not open", {})]
        settled(tmp_path, history, answers, ["--tasks", "others"])
        folders.write(tmp_path / "checkpoint-1", seed=2)
        (tmp_path / "checkpoint-1" / "broken").unlink()
        settled(tmp_path, history, answers)
        assert [entry.status for entry in history.entries] == ["failed", "failed", "evaluated"]


def test_scores_of_other_options_do_not_come_onto_the_curve(tmp_path: Path) -> None:
    folders.write(tmp_path / "checkpoint-1")
    with History.open(tmp_path / "watch") as history:
        settled(tmp_path, history, Answers())
        with pytest.raises(ViubenchError, match="evaluations with other options: --tasks items"):
            opened(tmp_path, Clock(), history, ["--tasks", "others"])


def test_weights_that_change_while_they_are_evaluated_get_no_score(tmp_path: Path) -> None:
    folders.write(tmp_path / "checkpoint-1", seed=1)

    class Changing(Answers):
        def __call__(self, model: Path, run: Path) -> str:
            if not self.done:
                folders.write(model, seed=2)
            return super().__call__(model, run)

    with History.open(tmp_path / "watch") as history:
        settled(tmp_path, history, answers := Changing())
        settled(tmp_path, history, answers)
        assert [(entry.status, entry.reason) for entry in history.entries] == [
            ("failed", "the checkpoint changed during its evaluation"),
            ("evaluated", ""),
        ]


def test_a_run_whose_samples_failed_is_no_evaluation(tmp_path: Path) -> None:
    folders.write(tmp_path / "checkpoint-1")
    failed = [paired_runs.Row(str(k), None, str(k), "engine_error") for k in range(3)]
    rows = [*failed, *(paired_runs.Row(str(k), 1.0, str(k)) for k in range(3, 9))]

    def answer(model: Path, run: Path) -> str:
        paired_runs.write(run, {"t": rows})
        write_json(run / "manifest.json", read_manifest(run).model_copy(update={"model": {"name": "m"}}))
        return ""

    with History.open(tmp_path / "watch") as history:
        clock = Clock()
        watch = opened(tmp_path, clock, history)
        watch.scan()
        clock.now += 10
        due = watch.scan().due
        assert due is not None
        assert watch.evaluate(due, answer).reason == "3 of 9 samples failed, more than --max-errors 0.01"


def test_the_scores_are_those_of_the_run_and_their_mean(tmp_path: Path) -> None:
    model = folders.write(tmp_path / "checkpoint-1")
    tasks, mean = scores(run_of(tmp_path / "run", model, 0.25))
    assert {name: score.value for name, score in tasks.items()} == {"t": 0.25, "u": 0.25}
    assert mean is not None
    assert (mean.value, mean.n) == (0.25, 80)
    # The same videos answer both tasks: one mean of them is no surer than the other's.
    assert mean.ci[0] < 0.25 < mean.ci[1]
    one = paired_runs.write(tmp_path / "one", {"t": paired_runs.rows([1.0, 0.0])})
    assert scores(one)[1] is None


def test_a_run_that_another_process_writes_to_is_busy(tmp_path: Path) -> None:
    from viubench.storage.run_dir import RunFolder

    assert not busy(tmp_path / "none")
    with RunFolder.claim(tmp_path / "run"):
        assert busy(tmp_path / "run")
    assert not busy(tmp_path / "run")


# --- whatever happens, once -----------------------------------------------------------------------------------

STEPS = st.integers(1, 3)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), STEPS),
        st.tuples(st.just("finish"), STEPS),
        st.tuples(st.just("other weights"), STEPS),
        st.tuples(st.just("wait"), st.integers(1, 8)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("settle"), st.just(0)),
        st.tuples(st.sampled_from(["before", "within", "after", "torn", "restart"]), st.just(0)),
    ),
    max_size=24,
)


class World:
    """A trainer that writes, a watch that looks, and kills at every point between."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.clock = Clock()
        self.answers = Answers()
        self.seeds: dict[int, int] = {}
        self.history = History.open(place / "watch")
        self.watch = opened(place, self.clock, self.history)

    def happen(self, what: str, number: int) -> None:
        folder = self.place / f"checkpoint-{number}"
        if what == "begin" and not folder.exists():
            folders.write(folder, seed=number, torn=3)
        elif what == "finish" and folder.exists():
            folders.write(folder, seed=self.seeds.setdefault(number, number))
        elif what == "other weights" and folder.exists():
            self.seeds[number] = self.seeds.get(number, number) + 10
            folders.write(folder, seed=self.seeds[number])
        elif what == "wait":
            self.clock.now += number
        elif what == "look":
            self.turn()
        elif what == "settle":
            self.watch.scan()
            self.clock.now += 10
        elif what == "restart":
            self.restart()
        elif what == "torn":
            self.turn()
            path = self.place / "watch" / FILE
            if path.exists() and (lines := path.read_bytes().splitlines(keepends=True)):
                path.write_bytes(b"".join(lines[:-1]) + lines[-1][:-7])  # not on disk when the power went
            self.restart()
        elif what in ("before", "within", "after"):
            self.answers.kill = what
            try:
                self.turn()
            except Killed:
                self.restart()
            self.answers.kill = ""

    def turn(self) -> bool:
        turn = self.watch.scan()
        if turn.due is None:
            return False
        self.history.append(self.watch.evaluate(turn.due, self.answers))
        return True

    def restart(self) -> None:
        self.history.close()
        self.history = History.open(self.place / "watch")
        self.watch = opened(self.place, self.clock, self.history)


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_every_whole_checkpoint_is_evaluated_exactly_once(events: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        for event in events:
            world.happen(*event)
        for _ in range(2):  # in the end everybody has time
            world.clock.now += 10
            while world.turn():
                pass
        keys = [(entry.name, entry.fingerprint) for entry in read(Path(place) / "watch")]
        assert len(keys) == len(set(keys)), "put down twice"
        runs = [run for _, run in world.answers.done]
        assert len(runs) == len(set(runs)), "evaluated to the end twice"
        assert all(entry.status == "evaluated" for entry in world.history.entries)
        whole = {p.name: fingerprint(p) for p in Path(place).glob("checkpoint-*") if incomplete(p) == ""}
        assert set(whole.items()) <= set(keys), "a whole checkpoint was missed"
        assert {name for name, _ in keys} == set(whole), "a half-written one was not"
        world.history.close()


def test_a_finished_run_that_is_not_in_the_history_is_entered_without_being_evaluated(tmp_path: Path) -> None:
    folders.write(tmp_path / "checkpoint-1")
    world = World(tmp_path)
    world.watch.scan()
    world.clock.now += 10
    world.happen("after", 0)
    assert len(world.answers.done) == 1
    assert read(tmp_path / "watch") == []
    world.watch.scan()
    world.clock.now += 10
    assert world.turn()
    assert len(world.answers.done) == len(world.answers.begun) == 1
    assert [entry.status for entry in read(tmp_path / "watch")] == ["evaluated"]
