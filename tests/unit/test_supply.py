"""What comes from others (checkpoints, servers, links) runs nothing, learns no key, and leaves nothing for others."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_server import Reply, Serve
from server_requests import ask, request

import viubench
from viubench.engines import processors
from viubench.engines.server import ServerEngine
from viubench.engines.server import http as server_http
from viubench.engines.server.arguments import Settings
from viubench.errors import EngineError, ViubenchError

Edit = Callable[[Path], None]


def says(file: str, **values: Any) -> Edit:
    def edit(folder: Path) -> None:
        path = folder / file
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | values))

    return edit


OWN = "evil.Evil"
HOSTILE: dict[str, Edit] = {
    "model": says("config.json", model_type="evil", auto_map={"AutoConfig": OWN, "AutoModelForImageTextToText": OWN}),
    "processor": says("processor_config.json", processor_class="Evil", auto_map={"AutoProcessor": OWN}),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked on the terminal, where every question is answered with yes."""
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question="": questions.append(question) or "y")
    return questions


@pytest.mark.parametrize("part", HOSTILE)
def test_code_of_a_checkpoint_is_not_run_nor_asked_about(
    part: str, tiny_model: Path, tmp_path: Path, asked: list[str]
) -> None:
    from trainer.model import policy

    folder, ran = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(tiny_model, folder)
    HOSTILE[part](folder)
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    with pytest.raises(ViubenchError):
        processors.open_processor(str(folder))
    with pytest.raises(ViubenchError) as refused:
        policy.Policy.open(folder)
    assert "--engine-arg" not in str(refused.value.hint), "training has no such option"
    for opens in (policy.Policy.open, partial(policy._load_model, dtype="float32", device="cpu")):
        with suppress(ViubenchError):  # some do without that code
            opens(folder)
    assert not ran.exists()
    assert asked == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_key_does_not_follow_a_redirect_to_another_host(
    status: int, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0815")
    monkeypatch.setattr(server_http, "wait", lambda state: 0.0)
    other = serve()
    away: Reply = (status, {"Location": other.url.replace("127.0.0.1", "localhost") + "/v1/chat/completions"}, b"")
    for served in (serve(lambda path, body: away), serve(models=away)):
        with pytest.raises((EngineError, ViubenchError)):
            ask(ServerEngine(None, [served.url], {"retries": "1"}), request())
        assert any("sk-test-0815" in sent.get("authorization", "") for sent in served.headers)
    assert other.headers == []


def test_what_an_empty_question_is_answered_with_is_not_read(serve: Serve) -> None:
    """Else a hostile address could fill the memory before the run."""
    served = serve(lambda path, body: (200, {}, [bytes(1 << 16)] * 4000))

    async def takes() -> tuple[bool, int]:
        async with server_http.Connection(Settings.read({}), [served.url]) as connection:
            return await connection.takes(f"{served.url}/v1/chat/completions"), _resident()

    before = _resident()
    found, after = asyncio.run(takes())
    assert found
    assert after - before < 100 << 20


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_run_without_a_folder_is_for_its_user_alone(clips: Path) -> None:
    before = os.umask(0)
    try:
        run = viubench.evaluate(engine="random", tasks="tiny_count", videos=clips, limit=1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(run.path.parent.stat().st_mode) == 0o700


VULNERABLE = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"], "aliases": []}]}
UNKNOWN = {"name": "b", "version": "1", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        (f"print({json.dumps(json.dumps({'dependencies': [VULNERABLE, UNKNOWN]}))})", 1, "a 1: CVE-1, fixed in ['2']"),
        (f"print({json.dumps(json.dumps({'dependencies': [UNKNOWN]}))})", 0, "skipped: none of 1 packages is known"),
        ("raise ConnectionError('no route')", 0, "skipped: ConnectionError: no route"),
    ],
)
def test_an_audit_fails_for_what_it_found_alone(program: str, code: int, said: str) -> None:
    audit = Path(__file__).parents[2] / ".ci" / "audit"
    done = subprocess.run(
        [sys.executable, str(audit), sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert said in done.stdout
    assert done.returncode == code
