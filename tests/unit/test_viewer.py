"""The viewer: who may read it, what it lists, and runs that are being written while it looks."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from report_runs import write_run
from training_runs import write_answers, write_training
from watched_runs import HOSTILE, entry, words

testclient = pytest.importorskip("starlette.testclient", reason="the viewer's libraries are not installed")
from reports.server import folders, record_index, sample_search  # noqa: E402
from reports.server.app import make_app  # noqa: E402
from reports.server.workspace import Workspace  # noqa: E402

TOKEN = "a-token"
TASKS = ("viubench_count_easy", "viubench_ground_mirror")


def client(*runs: Path, entered: bool = True, **more: Any) -> Any:
    app = make_app(runs, token=TOKEN, hosts={"127.0.0.1"}, **more)
    made = testclient.TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    if entered:
        made.get(f"/?token={TOKEN}")
    return made


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view") / "runs"
    write_run(folder / "a", skill=0.3, n=40, strips=1, tasks=TASKS, suite=False, measured=True)
    write_run(folder / "b", model="model-b", skill=0.7, n=40, tasks=TASKS, suite=False, measured=True)
    write_run(folder / "blind", model="blind", engine="blind", n=40, tasks=TASKS, suite=False, measured=True)
    said = {"response": HOSTILE, "question": HOSTILE}
    write_run(folder / "c", model=HOSTILE, skill=0.5, n=8, tasks=TASKS, suite=False, changes=said, measured=True)
    return folder


@pytest.fixture(scope="module")
def viewer(runs: Path) -> Any:
    return client(runs)


def key_of(runs: Path, name: str) -> str:
    return next(place.key for place in folders.find([runs]).runs if place.label == name)


# --- who may read ---------------------------------------------------------------------------------------------


def test_the_address_with_the_token_gives_a_cookie_and_the_token_is_in_no_later_address(runs: Path) -> None:
    new = client(runs, entered=False)
    assert new.get("/").status_code == 403
    entered = new.get(f"/?token={TOKEN}")
    cookie = entered.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert 'content="0;url=/"' in entered.text
    home = new.get("/")
    assert home.status_code == 200
    assert TOKEN not in home.text


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/", {}, 200),
        ("/favicon.ico", {"cookie": ""}, 204),
        ("/favicon.ico", {"host": "evil.example"}, 403),
        ("/?token=wrong", {}, 403),
        ("/", {"cookie": "viubench-8000=wrong"}, 403),
        ("/", {"host": "evil.example"}, 403),
        ("/", {"host": "127.0.0.1.evil.example:8000"}, 403),
        ("/", {"host": "192.0.2.1"}, 403),
        ("/", {"host": "127.0.0.1:9000"}, 200),  # a tunnel
        ("/", {"origin": "http://evil.example"}, 403),
        ("/", {"origin": "null"}, 403),
        ("/", {"origin": "http://127.0.0.1:8000"}, 200),
        ("/", {"sec-fetch-site": "cross-site"}, 403),
        ("/", {"sec-fetch-site": "same-site"}, 403),  # another port of this machine
        ("/", {"sec-fetch-site": "same-origin"}, 200),
        ("/run/../../etc/passwd", {}, 400),
        ("/run/%2e%2e/%2e%2e/etc/passwd", {}, 400),
        ("/run/..%2f..%2fetc", {}, 400),
        ("/run/a%00b", {}, 400),
        ("/run/a\\b", {}, 400),
        ("//evil.example/", {}, 400),
        ("/samples.json?text=" + "x" * 5000, {}, 400),
        ("/manifest.json", {}, 404),
        ("/run/nothing", {}, 404),
        ("/watch/nothing", {}, 404),
        ("/training/nothing", {}, 404),
        ("/compare?a=x&b=y", {}, 404),
    ],
)
def test_what_is_not_the_readers_own_request_is_refused(
    viewer: Any, path: str, headers: dict[str, str], code: int
) -> None:
    assert asyncio.run(status(viewer.app, path, headers)) == code


async def status(app: Any, path: str, headers: dict[str, str]) -> int:
    """The status of a request whose path goes out as it is written, which no client would do."""
    written, _, query = path.partition("?")
    given = {"host": "127.0.0.1:8000", "cookie": f"viubench-8000={TOKEN}"} | headers
    scope = {
        "type": "http", "method": "GET", "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 8000),
        "path": unquote(written), "raw_path": written.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), text.encode()) for name, text in given.items()],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_it_only_reads(viewer: Any, method: str) -> None:
    assert viewer.request(method, "/").status_code == 405


def test_a_wrong_name_is_refused_even_with_the_token(runs: Path) -> None:
    new = client(runs, entered=False)
    assert new.get(f"/?token={TOKEN}", headers={"host": "evil.example"}).status_code == 403
    assert new.post(f"/?token={TOKEN}").status_code == 405
    assert not new.cookies


def test_a_viewer_for_others_answers_to_addresses_in_figures(runs: Path) -> None:
    wide = client(runs, anywhere=True)
    assert wide.get("/", headers={"host": "192.0.2.1:8000"}).status_code == 200
    assert wide.get("/", headers={"host": "evil.example"}).status_code == 403


def test_every_response_is_held_to_a_strict_policy(viewer: Any, runs: Path) -> None:
    for path in ("/", "/samples", f"/run/{key_of(runs, 'a')}", "/samples.json", "/run/nothing"):
        headers = viewer.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_nothing_is_written(runs: Path, viewer: Any) -> None:
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    for path in ("/", "/samples.json?text=clip", "/status.json", f"/run/{key_of(runs, 'a')}"):
        assert viewer.get(path).status_code == 200
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before


# --- lists ----------------------------------------------------------------------------------------------------


def found(viewer: Any, **wanted: object) -> dict[str, Any]:
    reply = viewer.get("/samples.json", params=wanted)
    assert reply.status_code == 200
    data: dict[str, Any] = reply.json()
    return data


def test_the_runs_are_listed_with_their_statuses_and_scores(viewer: Any, runs: Path) -> None:
    home = viewer.get("/").text
    assert "model-b" in words(home)
    assert HOSTILE not in home
    assert "␛[31m" in home
    rows = {row["key"]: row for row in viewer.get("/status.json").json()["runs"]}
    own = rows[key_of(runs, "b")]
    assert (own["state"], own["done"], own["total"]) == ("finished", 80, 80)
    assert sum(own["statuses"].values()) == 80


def test_samples_are_found_page_by_page(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_search, "PAGE", 30)
    pages = [found(viewer, page=number) for number in range(3)]
    assert [len(page["samples"]) for page in pages] == [30, 30, 20]
    names = [(sample["task"], sample["id"]) for page in pages for sample in page["samples"]]
    assert len(set(names)) == 80 == pages[0]["total"] == pages[0]["of"]
    assert found(viewer, page=99)["page"] == 2
    task, name = names[65]
    linked = found(viewer, sample=name, of=task)
    assert (linked["page"], linked["start"]) == (2, 60)
    assert name in [sample["id"] for sample in linked["samples"]]


def test_samples_are_found_by_what_was_asked_for(viewer: Any) -> None:
    everything = found(viewer)
    assert all(
        len(hit) == len(sample["answers"])
        for hit, sample in zip(everything["hits"], everything["samples"], strict=True)
    )
    for wanted, holds in {
        ("task", TASKS[1]): lambda sample, answer: sample["task"] == TASKS[1],
        ("model", "model-b"): lambda sample, answer: everything["models"][answer["model"]] == "model-b",
        ("status", "failed"): lambda sample, answer: answer["status"] != "ok",
        ("status", "unparsed"): lambda sample, answer: answer["status"] == "unparsed",
        ("grade", "right"): lambda sample, answer: answer["grade"] == "right",
        ("grade", "wrong"): lambda sample, answer: answer["grade"] == "wrong",
        ("rule", "declared"): lambda sample, answer: answer["rule"] == "declared",
        ("text", "question 7 of"): lambda sample, answer: "Question 7 of" in sample["question"],
        ("text", "NOT CERTAIN"): lambda sample, answer: "not certain" in (answer["response"] or ""),
    }.items():
        data = found(viewer, **dict([wanted]))
        assert data["samples"], wanted
        for sample, hit in zip(data["samples"], data["hits"], strict=True):
            assert hit, wanted
            assert all(holds(sample, sample["answers"][at]) for at in hit), wanted
    assert found(viewer, text="nothing says this")["total"] == 0
    assert found(viewer, task="no such task")["total"] == 0


def test_models_disagree_where_their_scores_do(viewer: Any) -> None:
    scores = dict(enumerate(found(viewer)["models"]))
    a, b = (next(place for place, name in scores.items() if name == model) for model in ("model-a", "model-b"))

    def pairs(**wanted: object) -> list[tuple[float, float]]:
        return [
            tuple(next(answer["score"] for answer in sample["answers"] if answer["model"] == model) for model in (a, b))
            for sample in found(viewer, a=a, b=b, **wanted)["samples"]
        ]

    either, first, second = (pairs(differ=way) for way in ("best", "first", "second"))
    assert first
    assert second
    assert all(one - two >= 0.5 for one, two in first)
    assert all(two - one >= 0.5 for one, two in second)
    assert len(either) == len(first) + len(second)
    assert found(viewer, differ="models")["total"] >= len(either)


def test_numbers_of_an_address_that_are_none_are_no_error(viewer: Any, runs: Path) -> None:
    assert found(viewer, page="²", a="x", b="-1", differ="best")["page"] == 0
    for at in ("-1", "x", "", "99999999999999999999", "7"):
        assert viewer.get(f"/frames/{key_of(runs, 'a')}", params={"at": at}).status_code == 404
    assert viewer.get("/samples.json?run=nothing").json()["total"] == 0


def test_the_frames_are_those_of_the_strip_or_it_is_said_why_not(viewer: Any) -> None:
    data = found(viewer, model="model-a")
    replies = [viewer.get(address) for address in data["strips"][:3]]
    kept = [reply for reply in replies if reply.status_code == 200]
    assert kept
    assert kept[0].headers["content-type"] == "image/jpeg"
    assert kept[0].content.startswith(b"\xff\xd8")
    missing = next(reply for reply in replies if reply.status_code == 404)
    assert "viubench view --videos" in missing.text


def test_two_runs_are_compared_by_the_page_of_compare(viewer: Any, runs: Path) -> None:
    one, two = key_of(runs, "a"), key_of(runs, "b")
    reply = viewer.get(f"/compare?a={one}&b={two}")
    assert reply.status_code == 200
    assert "What changed?" in reply.text
    assert f"/samples?run={one}&amp;run={two}" in reply.text
    other = viewer.get(f"/compare?a={one}&b={key_of(runs, 'c')}")
    assert other.status_code == 200
    assert "other items" in words(other.text)
    assert f"/samples?run={one}&amp;run=" in other.text
    assert "Traceback" not in other.text


# --- runs that are going --------------------------------------------------------------------------------------


def test_a_run_that_is_going_shows_as_it_comes_and_a_torn_line_breaks_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "going", n=40, tasks=TASKS, suite=False, measured=True)
    (run / "results.json").unlink()
    records = run / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(lines[:10]) + lines[10][:99])
    going = client(tmp_path)

    def row() -> dict[str, Any]:
        [only] = going.get("/status.json").json()["runs"]
        return dict(only)

    assert (row()["state"], row()["done"], row()["total"]) == ("running", 10, 80)
    assert found(going)["total"] == 10
    records.write_bytes(b"".join(lines[:30]))
    assert row()["done"] == found(going)["total"] == 30
    records.write_bytes(b"".join([*lines[:30], b"damaged\n", lines[31]]))
    assert (row()["done"], row()["damaged"]) == (31, 1)
    records.unlink()  # resumed: the file is replaced by another one
    assert found(going)["samples"] == []
    records.write_bytes(b"".join(lines[:5]))
    assert row()["done"] == 5
    failed = json.loads(lines[5]) | {
        "status": "media_error",
        "error": {"fault": "missing", "detail": "x"},
        "scores": {},
    }
    with records.open("a") as file:
        file.write(json.dumps(failed) + "\n")
    assert ["missing (media error)", 1] in row()["faults"]


def test_records_are_read_in_pieces_whatever_their_length(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = record_index.RecordIndex(runs / "a", record_index.Samples(), lambda task: "exact")
    while whole.advance():
        pass
    monkeypatch.setattr(record_index, "PIECE", 100)
    pieces = record_index.RecordIndex(runs / "a", record_index.Samples(), lambda task: "exact")
    steps = 0
    while pieces.advance():
        steps += 1
    assert steps == 79
    assert {name: list(column) for name, column in pieces.columns.items()} == {
        name: list(column) for name, column in whole.columns.items()
    }


def test_a_text_is_looked_for_a_while_and_then_on(viewer: Any, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Workspace([runs]).search(Workspace([runs]).runs())
    assert not search.read_on(60)
    monkeypatch.setattr(sample_search, "TEXT_LOOK", -1.0)
    first = search.page(sample_search.Wanted(text="question"))
    assert (first["total"], first["looking"]) == (0, True)
    monkeypatch.setattr(sample_search, "TEXT_LOOK", 60.0)
    assert search.page(sample_search.Wanted(text="question"))["total"] == 80


# --- folders --------------------------------------------------------------------------------------------------


def test_runs_trainings_and_watches_are_found_and_linked(tmp_path: Path) -> None:
    training = write_training(tmp_path / "train", steps=30, warm=4, every=10)
    for step in (0, 9, 19, 29):
        write_answers(training, step)
    watch = training / "watch"
    lines = []
    for step in (10, 20):
        run = write_run(
            watch / f"runs/checkpoint-{step}", model=f"checkpoint-{step}", n=4, tasks=TASKS, suite=False, measured=True
        )
        score = {"metric": "accuracy", "value": 0.5, "ci": (0.4, 0.6), "n": 4}
        lines.append(
            entry(step, run=f"runs/{run.name}", tasks=dict.fromkeys(TASKS, score)).model_dump_json(by_alias=True)
        )
    (watch / "history.jsonl").write_text("\n".join(lines) + "\n" + lines[0][:50])
    seen = folders.find([tmp_path])
    assert [place.label for place in seen.trainings] == ["train"]
    assert [place.label for place in seen.watches] == ["train/watch"]
    viewer = client(tmp_path)
    home = viewer.get("/").text
    own, history = (next(place.key for place in places) for places in (seen.trainings, seen.watches))
    assert f"/training/{own}" in home
    assert f"/watch/{history}" in home
    keys = {place.path.name: place.key for place in seen.runs}
    page = viewer.get(f"/watch/{history}").text
    for step in (10, 20):
        assert f"/samples?run={keys[f'checkpoint-{step}']}" in page
        assert f"/training/{own}?step={step}#answers" in page
    about = viewer.get(f"/training/{own}?step=20").text
    assert f"/run/{keys['checkpoint-20']}" in about
    assert "Step 19:" in about
    assert f"/training/{own}?step=9#answers" in about
    assert f"/training/{own}?step=29#answers" in about


def test_folders_without_anything_are_refused_and_damaged_ones_named(tmp_path: Path) -> None:
    from viubench.errors import ViubenchError

    with pytest.raises(ViubenchError, match="no such folder"):
        Workspace([tmp_path / "missing"])
    with pytest.raises(ViubenchError, match="there is no run"):
        Workspace([tmp_path])
    run = write_run(tmp_path / "a", n=4, tasks=TASKS, suite=False, measured=True)
    shutil.copytree(run, tmp_path / "damaged")
    (tmp_path / "damaged/manifest.json").write_text("{")
    assert "damaged" in words(client(tmp_path).get("/").text)
