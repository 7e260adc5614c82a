"""Shortcut probes: what is shown, what is asked, how an answer is mapped back, and what the scores then say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from block_videos import moving
from hypothesis import given
from hypothesis import strategies as st
from paired_runs import Row, write

import viubench
from reports.pages import leaderboard_page
from tests.e2e import inprocess
from viubench.comparison.pair import Incomparable
from viubench.comparison.probes import probe_report
from viubench.engines.families import FAMILIES
from viubench.engines.prompts import Showing
from viubench.runner.probes import options
from viubench.runner.probes.applying import blind, other_videos
from viubench.runner.probes.frames import places, probed
from viubench.schema import PROBES, Clip, Protocol, Sample
from viubench.schema.probes import ProbeReport

TEXTS = st.lists(st.text("abc dxyz", min_size=1).map(str.strip).filter(bool), min_size=2, max_size=6, unique=True)
FORMS = ("{letter}. {text}", "({letter}) {text}", "{letter}) {text}")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "probes-cache"))


class Model(viubench.Engine):
    """Sees frames; answers what `says` tells of the request, and keeps what it was asked."""

    kind = "model"
    max_in_flight = 2

    def __init__(self, says: Any, dies: int = -1) -> None:
        self.says, self.dies = says, dies
        self.asked: list[viubench.Request] = []

    def prepare(self, evaluators: Any, blind_answers: Any) -> None:
        self.texts = {name: text for own in blind_answers.values() for name, text in own.items()}

    async def generate(self, request: viubench.Request) -> viubench.Response:
        if len(self.asked) == self.dies:
            raise viubench.ViubenchError("the machine is gone")
        self.asked.append(request)
        await asyncio.sleep(0)
        return viubench.Response(self.says(self, request), "stop")

    def describe(self) -> dict[str, Any]:
        return {"model": "model"}


def truth(_: Model, request: viubench.Request) -> str:
    return request.sample.answer_text


@pytest.fixture(scope="module")
def questions(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve questions about four clips, the true letter at every place alike."""
    words = ["a red car", "a blue bus", "a green van", "a white bike"]
    rows = [
        {"id": f"q{n}", "video": f"clip-{n % 4:02d}.mp4", "question": f"What passes, number {n}?",
         "options": [words[(n + k) % 4] for k in range(4)], "answer": "ABCD"[n % 4]}
        for n in range(12)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("probes") / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def items(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probes") / "items"
    viubench.build_items(
        "viubench-mini", str(clips), str(out), n=2, frame_cache=tmp_path_factory.getbasetemp() / "probes-cache"
    )
    return out


def run(questions: Path, clips: Path, engine: Any, out: Path, probe: str | None = None, **more: Any) -> viubench.Run:
    return viubench.evaluate(
        tasks=questions, videos=clips, engine=engine, out=out, probe=probe, frames=6, max_pixels=4096, **more
    )


def choice(texts: list[str], true: int, form: str = FORMS[0]) -> Sample:
    lines = "\n".join(form.format(letter="ABCDEF"[n], text=text) for n, text in enumerate(texts))
    letter = "ABCDEF"[true]
    return Sample("q", "t", "v", (), f"<video>\nWhich?\n{lines}\nReply with the letter.", letter, letter, tuple(texts))


@given(TEXTS, st.integers(0, 5), st.sampled_from(FORMS), st.sampled_from(("option-shuffle", "circular")))
def test_an_answer_in_another_order_is_that_of_the_questions_own(
    texts: list[str], true: int, form: str, probe: Any
) -> None:
    sample = choice(texts, true % len(texts), form)
    puts = options.orders(sample, probe)
    assert len(puts) == (len(texts) if probe == "circular" else 1)
    for put in puts:
        assert put.own(put.sample.target) == sample.target
        assert put.sample.options[put.letters.index(put.sample.target)] == texts[true % len(texts)]
        for letter, text in zip(put.letters, put.sample.options, strict=True):
            assert form.format(letter=letter, text=text) in put.sample.question
            assert sample.options[put.letters.index(put.own(letter))] == text
    if probe == "circular":  # each option stands once at every place
        assert all(len({put.sample.options[place] for put in puts}) == len(texts) for place in range(len(texts)))
    else:
        assert puts[0].sample.options != sample.options


@pytest.mark.parametrize(
    ("texts", "why"),
    [(["a cat", "all of the above"], "speak of each other"), (["a cat", "both A and B"], "speak of each other"),
     (["a cat", "above the table"], ""), ([], "no options")],
)  # fmt: skip
def test_options_that_speak_of_each_other_stay_where_they_are(texts: list[str], why: str) -> None:
    sample = choice(texts, 0)
    assert why in options.fixed(sample)
    assert bool(options.orders(sample, "circular")) is (why == "")
    yes_no = Sample("q", "t", "v", (), "Is it?", "yes", "yes", ("yes", "no"), {"letters": ["yes", "no"]})
    assert "does not write its options out" in options.fixed(yes_no)


@given(st.integers(2, 60), st.text(max_size=4))
def test_frames_are_fewer_or_in_another_order(total: int, name: str) -> None:
    shuffled = places("shuffled-frames", total, name)
    assert sorted(shuffled) == list(range(total)) != shuffled
    assert shuffled == places("shuffled-frames", total, name)
    assert places("reversed", total, name) == list(range(total))[::-1]
    assert places("half-frames", total, name) == list(range(0, total, 2))
    assert places("single-frame", total, name) == [total // 2]


def test_another_order_keeps_the_times_of_the_places() -> None:
    video = moving(6)
    (backwards,) = probed([video], "reversed", "q")
    assert backwards.times == video.times
    assert backwards.indices == video.indices[::-1]
    assert (backwards.pixels == video.pixels[::-1]).all()
    assert backwards.key != video.key
    assert probed([video], "blind", "q") == (video,)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=12), st.integers(0, 3))
def test_another_video_is_never_the_questions_own(clusters: list[int], seed: int) -> None:
    samples = [
        Sample(f"q{n}", "t", str(c), (Clip(path=f"{c}-{n}"),), "", "A", "A") for n, c in enumerate([*clusters, 5])
    ]
    shown = other_videos(samples, seed)
    assert [one.id for one in shown] == [one.id for one in samples]
    assert all(one.clips[0].path.split("-")[0] != one.cluster for one in shown)
    largest = max(sum(one.cluster == two.cluster for two in samples) for one in samples)
    if 2 * largest <= len(samples):
        assert sorted(one.clips[0].path for one in shown) == sorted(one.clips[0].path for one in samples)


def test_a_blind_question_is_text_alone() -> None:
    two = Sample("q", "t", "v", (Clip(path="a"), Clip(path="b")), "Video 1:\n<video>\nOr <video>? What is <video>?",
                 "A", "A")  # fmt: skip
    assert (blind(two).clips, blind(two).question) == ((), "Video 1:\n\nOr ? What is <video>?")


def test_frames_that_are_sent_are_those_of_the_probe(questions: Path, clips: Path, tmp_path: Path) -> None:
    real = Model(truth)
    run(questions, clips, real, tmp_path / "real", limit=2)
    sent = {one.sample.id: one.videos[0] for one in real.asked}
    for probe in ("single-frame", "half-frames", "reversed", "shuffled-frames"):
        model = Model(truth)
        done = run(questions, clips, model, tmp_path / probe, probe, limit=2)
        assert len(model.asked) == 2
        for request in model.asked:
            video, whole = request.videos[0], sent[request.sample.id]
            chosen = places(probe, len(whole), f"{request.sample.id}/0")  # type: ignore[arg-type]
            assert (video.pixels == whole.pixels[chosen]).all()
            assert {record.frames.hash for record in done.records if record.frames} >= {video.pixel_hash()}
    other = Model(truth)
    run(questions, clips, other, tmp_path / "other", "other-video")
    clip_of = {one.sample.id: one.sample.clips[0].path for one in other.asked}
    assert all(clip_of[one.id] not in one.cluster for one in (request.sample for request in other.asked))
    assert {one.videos[0].pixel_hash() for one in other.asked} >= {video.pixel_hash() for video in sent.values()}


def test_the_blind_probe_of_every_viubench_type_with_a_constant_answer_is_its_blind_row(
    items: Path, tmp_path: Path
) -> None:
    model = Model(lambda own, request: own.texts[request.sample.id])
    done = viubench.evaluate(tasks=items, engine=model, probe="blind", out=tmp_path / "run")
    assert not any(request.videos or "<video>" in request.sample.question for request in model.asked)
    assert len(done.results.tasks) == 9
    for name, task in done.results.tasks.items():
        assert task.value == pytest.approx(task.blind, abs=1e-6), name
    assert {protocol.probe for protocol in done.manifest.protocols.values()} == {"blind"}
    assert all(record.shown is None and record.frames is None for record in done.records)


def test_circular_evaluation_catches_a_model_that_always_says_a(questions: Path, clips: Path, tmp_path: Path) -> None:
    always = Model(lambda *_: "A")
    real = run(questions, clips, always, tmp_path / "real", limit=None)
    assert next(iter(real.results.tasks.values())).value == pytest.approx(0.25)
    circular = run(questions, clips, Model(lambda *_: "A"), tmp_path / "circular", "circular")
    (task,) = circular.results.tasks.values()
    assert (task.value, task.n, task.blind) == (0.0, 12, 0.0)
    assert task.chance == pytest.approx(0.25**4, abs=1e-6)
    record = circular.records[0]
    assert [order.answer for order in record.orders] == ["A", "B", "C", "D"]
    assert record.answer != record.target
    right = run(questions, clips, Model(truth), tmp_path / "right", "circular")
    assert next(iter(right.results.tasks.values())).value == 1.0
    shuffled = Model(truth)
    done = run(questions, clips, shuffled, tmp_path / "shuffled", "option-shuffle")
    assert next(iter(done.results.tasks.values())).value == 1.0
    assert {record.id: record.answer for record in done.records} == {r.id: r.target for r in real.records}
    asked = [(one.sample.answer_text, next(r.target for r in real.records if r.id == one.sample.id))
             for one in shuffled.asked]  # fmt: skip
    assert any(one != other for one, other in asked)


def test_a_stopped_probe_is_resumed(questions: Path, clips: Path, tmp_path: Path) -> None:
    whole = run(questions, clips, Model(truth), tmp_path / "whole", "circular")
    with pytest.raises(viubench.ViubenchError, match="gone"):
        run(questions, clips, Model(truth, dies=17), tmp_path / "run", "circular")
    second = Model(truth)
    again = run(questions, clips, second, tmp_path / "run", "circular")
    assert again.results == whole.results
    assert 0 < len(second.asked) < 48


def test_what_a_probe_does_not_apply_to_is_left_out_with_the_reason(
    questions: Path, items: Path, clips: Path, tmp_path: Path
) -> None:
    done = viubench.evaluate(
        tasks=[questions, items], videos=clips, engine="oracle", probe="option-shuffle", out=tmp_path / "run"
    )
    assert list(done.results.tasks) == ["own"]
    assert len(done.manifest.left_out) == 9
    assert done.manifest.left_out["viubench_count_easy"] == "option-shuffle: each of its questions has no options"
    assert not done.results.suites
    with pytest.raises(viubench.ViubenchError, match="applies to no task"):
        viubench.evaluate(tasks=items, engine="oracle", probe="circular")
    with pytest.raises(viubench.ViubenchError, match="one frame each"):
        viubench.evaluate(tasks=questions, videos=clips, engine="oracle", frames=1, probe="reversed")
    with pytest.raises(viubench.ViubenchError, match="probe cannot be nonsense"):
        viubench.evaluate(tasks=items, engine="oracle", probe="nonsense")


def test_times_are_left_out_where_they_are_ours_and_refused_where_they_are_not(
    questions: Path, clips: Path, tmp_path: Path, tiny_model: Path
) -> None:
    with pytest.raises(viubench.ViubenchError, match="cannot leave out the times"):
        run(questions, clips, Model(truth), tmp_path / "a", "no-times")
    with pytest.raises(viubench.ViubenchError, match="own processor writes the times"):
        viubench.evaluate(str(tiny_model), questions, engine="hf", videos=clips, probe="no-times")
    video = moving(2)
    stills = Showing("images")
    assert sum(part["type"] == "text" for part in stills.parts([video])[0]) == 2
    assert stills.asked(times=False).parts([video]) == [[{"type": "image"}] * 2]
    assert Showing.of(FAMILIES["qwen2_vl"], "hf").asked(times=False).parts([video]) == [[{"type": "video"}]]


def test_runs_without_a_probe_keep_their_bytes() -> None:
    protocol = Protocol(protocol="p")
    assert "probe" not in protocol.model_dump(mode="json")
    assert Protocol(protocol="p", probe="blind").hash() != protocol.hash()
    assert len(PROBES) == 9


def folders(tmp_path: Path, real: list[float], probed: list[float], probe: str) -> tuple[Path, Path]:
    def rows(scores: list[float]) -> list[Row]:
        return [Row(f"{n:03d}", score, f"v{n}") for n, score in enumerate(scores)]

    return write(tmp_path / "real", {"t": rows(real)}), write(
        tmp_path / "probed", {"t": rows(probed)}, protocol={"probe": probe, "hash": "other"}
    )


@pytest.mark.parametrize(
    ("real", "probed", "probe", "verdict"),
    [
        ([1.0] * 38 + [0.0] * 2, [1.0] * 36 + [0.0] * 4, "blind", "solved"),
        ([1.0] * 38 + [0.0] * 2, [1.0] * 25 + [0.0] * 15, "blind", "partly"),
        ([1.0] * 38 + [0.0] * 2, [1.0] * 25 + [0.0] * 15, "reversed", "needed"),
        ([1.0] * 38 + [0.0] * 2, [1.0] * 8 + [0.0] * 32, "blind", "needed"),
        ([1.0] * 10 + [0.0] * 30, [1.0] * 9 + [0.0] * 31, "blind", "not told"),
        ([1.0] * 3, [1.0, 1.0, 0.0], "blind", "not told"),
        ([1.0] * 38 + [0.0] * 2, [1.0] * 20 + [0.0] * 20, "circular", "order matters"),
        ([1.0] * 38 + [0.0] * 2, [1.0] * 37 + [0.0] * 3, "option-shuffle", "holds"),
    ],
)
def test_what_a_probes_score_says(
    tmp_path: Path, real: list[float], probed: list[float], probe: str, verdict: str
) -> None:
    one, two = folders(tmp_path, real, probed, probe)
    (row,) = probe_report(one, [two]).rows
    assert row.verdict == verdict
    assert row.difference == pytest.approx(sum(probed) / len(probed) - sum(real) / len(real), abs=1e-6)
    assert (probe_report(one, [two]).solved == {"t": [probe]}) is (verdict in ("solved", "partly"))
    with pytest.raises(Incomparable, match="itself run with --probe"):
        probe_report(two, [one])
    with pytest.raises(Incomparable, match="without a probe"):
        probe_report(one, [one])


def test_the_page_names_what_a_probe_solves_and_ranks_no_probe(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    real, probed = folders(tmp_path, [1.0] * 38 + [0.0] * 2, [1.0] * 36 + [0.0] * 4, "blind")
    said = leaderboard_page.write([real, probed], tmp_path / "page.html", ())
    assert "t is answered without what is taken away: blind" in said
    page = (tmp_path / "page.html").read_text()
    assert "Did it use the video?" in page
    assert '<em class="badge">solved</em>' in page
    assert page.count('<th scope="row" class="name"><span class="rank">1</span>') == 1
    leaderboard_page.write([real], tmp_path / "alone.html", ())
    assert "Did it use the video?" not in (tmp_path / "alone.html").read_text()
    other = write(tmp_path / "other", {"t": [Row("000", 1.0, "v0")]}, model="another", protocol={"probe": "reversed"})
    leaderboard_page.write([real, other], tmp_path / "two.html", ())
    assert "a probe of none of these runs" in caplog.text


def test_the_command_repeats_a_run_under_each_probe(questions: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    inprocess.viubench("run", "--engine", "blind", "--tasks", questions, "--videos", clips, "--out", out)
    done = inprocess.command(
        "probe", out, "--probe", "blind", "--probe", "circular", "--json", tmp_path / "p.json", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    assert "circular" in done.stdout
    assert (out / "probes" / "blind" / "results.json").exists()
    report = ProbeReport.model_validate_json((tmp_path / "p.json").read_bytes())
    assert [(row.probe, row.probed) for row in report.rows] == [("blind", 0.25), ("circular", 0.0)]
    assert viubench.compare_probes(out) == report
    assert inprocess.command("probe", out, "--probe", "nothing").returncode == 2
    words = ("run", "--engine", "blind", "--tasks", questions, "--videos", clips, "--out", tmp_path / "b")
    twice = inprocess.command(*words, "--probe", "blind", "--probe", "reversed")
    assert twice.returncode == 2
    assert "viubench probe RUN --probe blind --probe reversed" in twice.stderr
