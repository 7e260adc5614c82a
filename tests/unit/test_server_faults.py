"""Whole runs of a hundred questions against servers with faults: statuses, exit codes, and what resuming mends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_server import Body, Reply, Serve, completion

import viubench
from viubench.engines.server import http as server_http
from viubench.engines.server.sight import SHORT
from viubench.errors import Exit, ViubenchError
from viubench.storage.run_dir import read_records
from viubench.video import synthetic

ROWS = 100
TASK = """
task: colours
domain: general
rows: {files: [test.jsonl]}
video: {path: "{{ clip }}.mp4"}
question: "{{ question }}"
options: "{{ choices }}"
answer: "{{ answer }}"
evaluator: {name: choice}
metric: accuracy
protocol: fps2-32
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(server_http, "wait", lambda state: 0.0)
    monkeypatch.setenv("VIUBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "faults-cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-4711")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults")
    (root / "colours.yaml").write_text(TASK)
    folder = root / "data" / "colours"
    synthetic.draw(folder, 1, seed=5, seconds=1.0, size=(96, 64))
    next(folder.iterdir()).rename(folder / "k.mp4")
    rows = [
        {"clip": "k", "question": f"Which is {n}?", "choices": ["red", "blue"], "answer": "red"} for n in range(ROWS)
    ]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


@dataclass(frozen=True)
class Done:
    """How a run ended: exit code, what was said, and its records."""

    code: int
    said: str
    statuses: Counter[str]
    records: list[Any]


Run = Callable[..., Done]


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Run:
    def go(url: str, *, max_errors: float = 0.01, limit: int = ROWS, **args: Any) -> Done:
        said = ""
        try:
            finished = viubench.evaluate(
                tasks=data / "colours.yaml", data_root=data / "data", engine="server", base_url=url, frames=2,
                out=tmp_path / "run", max_pixels=4096, limit=limit, workers=1, filmstrips=0, max_errors=max_errors,
                engine_args={"retries": 1, **args}, argv=["viubench", "run", "--base-url", url],
            )  # fmt: skip
            code = Exit.OK if finished.valid else Exit.INVALID_RUN
        except ViubenchError as error:
            code, said = error.exit_code, error.message
        records = list(read_records(tmp_path / "run"))
        return Done(code, said, Counter(record.status for record in records), records)

    return go


def good(path: str, body: Body) -> Reply:
    return 200, {}, completion(body, "(A)" if _number(body) % 3 else "(B)")


def _number(body: Body) -> int:
    """Of the question, which the text of the message ends with."""
    text = next(part["text"] for part in reversed(body["messages"][-1]["content"]) if part["type"] == "text")
    return int(text.partition("Which is ")[2].partition("?")[0])


def results(folder: Path) -> Any:
    return json.loads((folder / "results.json").read_bytes())


def with_faults(faults: Sequence[Reply | Callable[[Body], Reply]]) -> Callable[[str, Body], Reply]:
    """A good server but for every eighth question, which has the faults in turn."""

    def answer(path: str, body: Body) -> Reply:
        number = _number(body)
        if number % 8 or body["max_tokens"] == SHORT:  # the proof of sight asks for so little
            return good(path, body)
        bad = faults[number // 8 % len(faults)]
        return bad(body) if callable(bad) else bad

    return answer


def of(number: int, done: Done) -> Any:
    """The record of the question of this number."""
    return next(record for record in done.records if f"Which is {number}?" in record.question)


def says(content: Any, finish: Any = "stop", **message: Any) -> Callable[[Body], Reply]:
    return lambda body: (200, {}, completion(body, content, finish, **message))


OUT_OF_FORM: list[Reply | Callable[[Body], Reply]] = [
    (200, {}, b"<html>"), (200, {}, b""), (200, {}, []), (200, {}, {"choices": []}), (200, {}, b"[" * 100_000),
    (400, {}, {"error": {"message": "too long"}}), (500, {}, b""), (529, {}, b""), (0, {}, b""),
    says("", "abort"), says("", "error"), says({"odd": 1}),
]  # fmt: skip


def test_a_fault_costs_its_sample_and_resuming_mends_it(serve: Serve, run: Run, tmp_path: Path) -> None:
    done = run(serve(with_faults(OUT_OF_FORM)).url, max_errors=0.2)
    assert (done.code, done.statuses) == (Exit.OK, {"ok": 87, "engine_error": 13})
    for number in range(0, ROWS, 8):
        record = of(number, done)
        assert record.status == "engine_error"
        assert len(record.error.detail) > 10
    mended = run(serve(good).url, timeout=77)
    assert (mended.code, mended.statuses) == (Exit.OK, {"ok": ROWS})
    first = results(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "first")
    run(serve(good).url)
    assert results(tmp_path / "run") == first


ODD: list[tuple[Callable[[Body], Reply], str]] = [
    (says([{"type": "text", "text": "(A)"}]), "ok"),
    (says("(A) \ud800"), "ok"),
    (says(5), "unparsed"),
    (says(None), "unparsed"),
    (says(None, "length", reasoning_content="Let me"), "truncated"),
    (says("(A)", reasoning="Surely"), "ok"),
    (says("", "content_filter"), "refused"),
    (says(None, refusal="I cannot."), "refused"),
]


def test_odd_answers_are_answers(serve: Serve, run: Run) -> None:
    done = run(serve(with_faults([odd for odd, _ in ODD])).url, limit=8 * len(ODD))
    assert done.code == Exit.OK
    assert [of(8 * place, done).status for place in range(len(ODD))] == [status for _, status in ODD]
    assert of(32, done).reasoning == "Let me"


def test_a_server_that_only_fails_ends_the_run_early(serve: Serve, run: Run) -> None:
    served = serve(lambda path, body: (500, {}, {"error": {"message": "boom"}}))
    done = run(served.url)
    assert done.code == Exit.INVALID_RUN
    assert "10 of 100 answers failed" in done.said
    assert "HTTP 500: boom" in done.said
    assert len(served.chats()) < 100
    assert run(serve(good).url).statuses == {"ok": ROWS}


def test_a_run_that_may_still_be_valid_goes_on(serve: Serve, run: Run) -> None:
    done = run(serve(lambda path, body: (500, {}, {})).url, max_errors=1, limit=20)
    assert (done.code, done.statuses) == (Exit.OK, {"engine_error": 20})


def test_the_key_is_nowhere(serve: Serve, run: Run, tmp_path: Path) -> None:
    def echo(path: str, body: Body) -> Reply:
        if _number(body) % 2 and body["max_tokens"] != SHORT:
            return 200, {}, completion(body, "Your key is sk-test-4711.")
        return 401, {}, {"error": {"message": f"{'x' * 390} wrong key sk-test-4711, http://u:pass@host/?key=abc"}}

    url = serve(echo).url.replace("http://", "http://ann:pw4711pw@") + "?key=zzz"
    done = run(url, max_errors=1, limit=12)
    assert done.statuses == {"engine_error": 6, "unparsed": 6}
    written = b"".join(file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file())
    for secret in (b"4711", b"pw4711pw", b"zzz", b":pass@", b"key=abc"):
        assert secret not in written


def test_a_resumed_run_may_reach_its_server_otherwise(serve: Serve, run: Run) -> None:
    run(serve(good).url, limit=5)
    more = {"retries": 3, "timeout": 5, "max_in_flight": 2, "requests_per_minute": 6000, "headers": '{"a": "b"}'}
    assert run(serve(good).url, limit=5, **more).code == Exit.OK
    other = run(serve(good).url, limit=5, transport="video")
    assert "another engine argument transport: none there, video now" in other.said
