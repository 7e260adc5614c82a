"""Strict YAML: every mistake is refused with its place and, where one can be guessed, its cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viubench.errors import ViubenchError
from viubench.schema import Protocol, Task
from viubench.storage import strict_yaml

GOOD = """\
task: t
domain: d
question: "<video> q"
evaluator: {name: choice}
metric: accuracy
protocol: viubench
"""


def write(folder: Path, text: str, name: str = "t.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def refused(path: Path) -> ViubenchError:
    with pytest.raises(ViubenchError) as caught:
        strict_yaml.load(path, Task)
    return caught.value


def test_a_good_file_loads(tmp_path: Path) -> None:
    assert strict_yaml.load(write(tmp_path, GOOD), Task).evaluator.name == "choice"


@pytest.mark.parametrize(
    ("text", "message", "line", "hint"),
    [
        (GOOD + "qestion: again\n", "unknown key 'qestion'", ":7:1", "did you mean 'question'?"),
        (GOOD + "metric: miou\n", "the key 'metric' appears twice", ":7:1", "keep one"),
        (
            GOOD.replace("{name: choice}", "{nmae: choice}"),
            "unknown key 'evaluator.nmae'",
            ":4:13",
            "did you mean 'name'?",
        ),
        (GOOD + "zzzz: miou\n", "unknown key 'zzzz'", ":7:1", "see the keys of a task that works"),
        (GOOD + "kind: ground\n", "unknown key 'kind'", ":7:1", "it belongs under "),
        (
            GOOD.replace("{name: choice}", "{name: choice, zzz: 1}"),
            "'evaluator.zzz'",
            ":4:27",
            "there are: name, params",
        ),
        (GOOD.replace("{name: choice}", "{}"), "'evaluator.name' is missing", ":4:1", ""),
        (GOOD.replace("choice}", "!!python/name:os.system x}"), "is not allowed", ":4:19", "registered name"),
        (GOOD.replace("d\n", "[1, 2\n"), "not valid YAML", ":3:9", ""),
        (GOOD.replace("domain: d", "domain: 3"), "domain: must be a text, not 3", ":2:1", ""),
        ("", "is empty", "", ""),
    ],
)
def test_a_bad_file_says_what_and_where(tmp_path: Path, text: str, message: str, line: str, hint: str) -> None:
    error = refused(write(tmp_path, text))
    assert message in error.message
    assert (error.where or "").endswith(f"t.yaml{line}")
    assert hint in (error.hint or "")


def test_code_is_never_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    for tag in ("!!python/object/apply:os.mkdir", "!function", "!!python/object:object"):
        assert "is not allowed" in refused(write(tmp_path, f"task: {tag} ['{target}']\n")).message
    assert "is not allowed" in refused(write(tmp_path, "task: !!python/name:os.mkdir ''\n")).message
    assert not target.exists()


def test_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    assert "aliases" in refused(write(tmp_path, "\n".join(levels))).message


def test_a_deep_or_huge_file_is_refused(tmp_path: Path) -> None:
    assert "nested deeper" in refused(write(tmp_path, "task: " + "[" * 60 + "]" * 60)).message
    assert "nested deeper" in refused(write(tmp_path, "[" * 20_000)).message
    assert "at most" in refused(write(tmp_path, "#" * 1_000_001)).message


def test_missing_and_binary_files(tmp_path: Path) -> None:
    assert "cannot read" in refused(tmp_path / "none.yaml").message
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused(tmp_path / "b.yaml").message


@given(st.text(max_size=200))
def test_any_text_gives_a_task_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("yaml") / "t.yaml"
    path.write_text(text, errors="surrogatepass", encoding="utf-8")
    with pytest.raises(ViubenchError) as caught:
        strict_yaml.load(path, Task)
    assert str(path) in (caught.value.where or "")


def test_a_range_is_checked(tmp_path: Path) -> None:
    path = write(tmp_path, "protocol: p\nsampling: {kind: even, frames: 0}\n")
    with pytest.raises(ViubenchError, match="must be a whole number, at least 1, at most 100000, not 0") as caught:
        strict_yaml.load(path, Protocol)
    assert (caught.value.where or "").endswith(":2:24")


BOMB = "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 50000 values"),
        ("a: [" + "1," * 490_000 + "1]", "more than 50000 values"),
        ("".join(f"k{n}: 1\n" for n in range(60_000)), "more than 50000 values"),
        ("a: &a [*a]", "nested deeper than 20 levels"),
        ("a: &a {b: *a}", "nested deeper than 20 levels"),
        ("a: !!int foo", "'foo' is no int"),
        ("a: !!float x", "'x' is no float"),
        ("a: !!bool x", "'x' is no bool"),
        ("a: !!int _", "'_' is no int"),
        ("a: 0b_", "is no int"),
        ("a: 0x_", "is no int"),
        ("a: " + "9" * 400_000, "is no int"),
        ("a: 0x" + "f" * 400_000, "is no int"),
        ("a: " + ":".join(["59"] * 20_000), "is no int"),
        ("a: !!binary '='", "is not allowed"),
    ],
    ids=range(15),
)
def test_what_would_take_long_or_is_no_value_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    with pytest.raises(ViubenchError) as caught:
        strict_yaml.read(file)
    assert said in caught.value.message
    assert len(caught.value.message) < 300
    assert (caught.value.where or "").startswith(f"{file}:")
