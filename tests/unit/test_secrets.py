"""Keys and passwords never reach a file or a screen."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.cli.ending import failed
from viubench.cli.progress import logged, print_error
from viubench.engines.server import ServerEngine
from viubench.engines.server.arguments import Settings
from viubench.errors import ViubenchError
from viubench.runner.evaluate import log, log_file
from viubench.schema import Failure, Record
from viubench.storage import secrets
from viubench.storage.run_dir import without_secrets, write_json


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_hidden", {})
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://user:pw@host/v1", "http://***@host/v1"),
        ("at https://tok@host:80/v1?x=1", "at https://***@host:80/v1?x=1"),
        ("https://h/v1?key=abc&x=1&api_key=d", "https://h/v1?key=***&x=1&api_key=***"),
        ("https://h/v1?access_token=abc#a", "https://h/v1?access_token=***#a"),
        ("Authorization: Bearer sk-12ab", "Authorization: Bearer ***"),
        ('{"Authorization": "Basic dXNlcjpwdzE="}', '{"Authorization": "Basic ***"}'),
    ],
)
def test_secrets_of_known_form_are_masked(text: str, masked: str) -> None:
    assert secrets.mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "the ring bearer approaches slowly",
        "a basic question in Basic English",
        "monkey=3 ?",
        "mail a@b.c",
        "see http://h/a@b",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert secrets.mask(text) == text


@given(st.text(min_size=secrets.ANYWHERE, max_size=30).map(str.strip).filter(lambda s: len(s) >= secrets.ANYWHERE))
def test_a_hidden_key_is_found_however_it_is_quoted(key: str) -> None:
    try:
        secrets.hide(key)
        encoded = base64.b64encode(key.encode()).decode()
        for text in (key, f"x{key}y", json.dumps({"k": key}), encoded):
            shown = secrets.mask(text)
            assert key not in shown or key in secrets.MASK
            assert encoded.rstrip("=") not in shown
    finally:
        secrets._hidden.clear()


def test_placeholders_and_short_words_are_no_secrets() -> None:
    for word in ("EMPTY", "none", "abc", ""):
        secrets.hide(word)
    secrets.hide("hunter2")
    assert secrets.mask("EMPTY none abc hunter2 hunter22") == "EMPTY none abc *** hunter22"


def test_keys_come_from_the_environment_and_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-mine-0001\n")
    monkeypatch.setenv("OTHER", "other-0002")
    headers = '{"X-Api-Key": "literal-0003", "X-Other": "pre-${OTHER}", "X-Title": "mine"}'
    settings = Settings.read({"api_key_env": "MY_KEY", "headers": headers})
    assert settings.headers == {
        "Authorization": "Bearer sk-mine-0001",
        "X-Api-Key": "literal-0003",
        "X-Other": "pre-other-0002",
        "X-Title": "mine",
    }
    shown = secrets.mask("sk-mine-0001 literal-0003 pre-other-0002 mine")
    assert shown == "*** *** pre-*** mine"
    assert "0001" not in repr(settings)
    for wrong in ({"api_key_env": "NOT_SET"}, {"headers": '{"A": "$NOT_SET"}'}, {"headers": "A: b"}):
        with pytest.raises(ViubenchError):
            Settings.read(wrong)


@pytest.mark.parametrize("around", ["{}", " {}\r\n", '"{}"', "' {} '\n", "Bearer {}", '"bearer  {}"'])
def test_what_a_file_of_settings_leaves_around_a_key_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", around.format("sk-mine-0001"))
    assert Settings.read({}).headers == {"Authorization": "Bearer sk-mine-0001"}
    assert secrets.mask("no such key: sk-mine-0001") == "no such key: ***"
    given = Settings.read({"headers": '{"X-Key": "$OPENAI_API_KEY"}'})
    assert given.headers["X-Key"] == "sk-mine-0001"


def test_what_is_more_than_a_key_is_said_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for odd in ("sk-mine\n0001", "sk-mïne-0001"):
        monkeypatch.setenv("OPENAI_API_KEY", odd)
        with pytest.raises(ViubenchError, match="OPENAI_API_KEY holds more than a key") as refused:
            Settings.read({})
        assert "0001" not in str(refused.value)


def test_a_key_that_is_given_for_its_name_is_not_shown() -> None:
    with pytest.raises(ViubenchError) as refused:
        Settings.read({"api_key_env": "sk-mine-0001"})
    assert "0001" not in str(refused.value)
    assert secrets.mask("--engine-arg api_key_env=sk-mine-0001") == "--engine-arg api_key_env=***"


def test_user_and_password_of_an_address_become_one_header() -> None:
    engine = ServerEngine(None, ["http://ann:p%40ss-word@host:1/v1"], {})
    assert engine.connection.urls == ["http://host:1/v1"]
    assert engine.connection._user("http://host:1/v1/models") == {
        "Authorization": "Basic " + base64.b64encode(b"ann:p@ss-word").decode()
    }
    assert secrets.mask("p@ss-word p%40ss-word") == "*** ***"
    with pytest.raises(ViubenchError, match="a key is given too"):
        ServerEngine(None, ["http://ann:pw@host/v1"], {"headers": '{"Authorization": "Bearer x1"}'})


def test_what_is_written_and_printed_is_masked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.hide("sk-test-0001")
    key = "you sent sk-test-0001"
    record = Record(
        task="t",
        id="sk-test-0001",
        cluster="c",
        status="engine_error",
        response=key,
        error=Failure(fault="e", detail=key),
    )
    hidden = without_secrets(record)
    assert (hidden.id, hidden.response) == ("sk-test-0001", "you sent ***")  # an id is the data set's
    assert hidden.error == Failure(fault="e", detail="you sent ***")
    plain = record.model_copy(update={"response": "A", "error": None})
    assert without_secrets(plain) is plain
    write_json(tmp_path / "a.json", {"argv": ["--base-url", "http://u:pw@host"], "deep": [{"a": key}]})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "argv": ["--base-url", "http://***@host"],
        "deep": [{"a": "you sent ***"}],
    }
    with logged(logging.INFO), log_file(tmp_path):
        log.warning("%s", key)
    print_error(ViubenchError(key, where=key, hint=key))
    monkeypatch.setenv("VIUBENCH_DEBUG", "1")
    failed(ValueError(key))
    assert "0001" not in (tmp_path / "run.log").read_text() + capsys.readouterr().err
