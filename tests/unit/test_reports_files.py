"""The main table as files: read back by pandas, by LaTeX and by a reader of Markdown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_runs import write_run

from reports.data import finished_runs
from reports.tables import table_files
from reports.tables.leaderboard import Column, LeaderboardRow, columns, rows, shown
from viubench.errors import ViubenchError
from viubench.tasks.registry import Catalogue

Table = tuple[list[LeaderboardRow], list[Column]]


def table(folder: Path, skills: Mapping[str, float], **changes: Any) -> Table:
    """The table of models with these skills, on whose samples the results rest."""
    paths = [
        write_run(folder / f"run{k}", model=name, skill=skill, n=40, measured=True, **changes)
        for k, (name, skill) in enumerate(skills.items())
    ]
    runs = finished_runs.read(paths).runs
    return rows(runs, Catalogue().references), shown(columns(runs))


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Two models that nobody confuses, the second with a name that means something to LaTeX and to Markdown."""
    return table(tmp_path_factory.mktemp("apart"), {"good": 0.9, "50%_bad|\\a{b}~^$#&*[x]": 0.2})


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return table(tmp_path_factory.mktemp("alike"), {"one": 0.5, "other": 0.52})


def text(name: table_files.Format, given: Table) -> str:
    return table_files.content(name, *given).decode()


def line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.lstrip("| ").startswith(start))


def test_pandas_reads_the_scores_back(apart: Table, tmp_path: Path) -> None:
    found, heads = apart
    for name, read in (("csv", pd.read_csv), ("xlsx", pd.read_excel)):
        path = tmp_path / f"board.{name}"
        path.write_bytes(table_files.content(name, found, heads))  # type: ignore[arg-type]
        frame = read(path).set_index("model")
        assert list(frame.index) == [row.label for row in found]
        for row in found:
            for head in heads:
                cell = row.cells.get(head.key)
                if cell is None or cell.low is None:
                    assert cell or pd.isna(frame.loc[row.label, head.key])
                    continue
                values = frame.loc[row.label, [head.key, f"{head.key}_low", f"{head.key}_high"]]
                assert list(values) == pytest.approx([cell.value, cell.low, cell.high])
        assert frame.loc["good", "rank"] == 1
        assert frame.loc["good", "viubench_best"]


def test_json_holds_every_cell(apart: Table) -> None:
    found, heads = apart
    read = json.loads(text("json", apart))
    assert [column["key"] for column in read["columns"]] == [head.key for head in heads]
    first = read["rows"][0]["cells"]["viubench"]
    assert first["value"] == found[0].cells["viubench"].value
    assert first["told_apart"] is True
    assert read["rows"][1]["cells"]["viubench"]["told_apart"] is False


def test_the_best_is_bold_only_where_it_is_told_apart(apart: Table, alike: Table) -> None:
    for found, heads in (apart, alike):
        for row in found:
            best = [bool((cell := row.cells.get(head.key)) and cell.best and not cell.tied) for head in heads]
            own = re.split(r"(?<!\\)\|", text("md", ([row], heads)).splitlines()[2])[3:-4]
            assert [cell.strip().startswith("**") for cell in own] == best
            own = text("latex", ([row], heads)).splitlines()[-4].split(" & ")[2:-3]
            assert [cell.strip().startswith(r"\textbf{") for cell in own] == best
            assert list(table_files.frame([row], heads).filter(like="_best").iloc[0]) == best
    assert table_files.told_apart(apart[0][0].cells["viubench"])
    assert not any(table_files.told_apart(row.cells["viubench"]) for row in alike[0] if row.kind == "model")


def test_one_model_alone_is_not_the_best_of_anything(tmp_path: Path) -> None:
    alone = table(tmp_path, {"alone": 0.9})
    assert "**" not in line(text("md", alone), "alone")


def test_markdown_has_one_cell_a_column(apart: Table) -> None:
    lines = [one for one in text("md", apart).splitlines() if one.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", one)) for one in lines}
    assert widths == {len(apart[1]) + 6}
    assert len(lines) == len(apart[0]) + 2


def test_latex_is_a_booktabs_table(apart: Table) -> None:
    lines = text("latex", apart).splitlines()
    cells = len(apart[1]) + 5
    start, end = lines.index(r"\toprule"), lines.index(r"\bottomrule")
    body = [one for one in lines[start + 1 : end] if one != r"\midrule"]
    assert lines[start - 1] == rf"\begin{{tabular}}{{ll{'r' * (cells - 2)}}}"
    assert len(body) == len(apart[0]) + 1
    for one in body:
        assert one.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", one)) == cells - 1
    assert lines[start : end + 1].count(r"\midrule") == 3, "under the head, the models and the baselines"
    assert not re.search(r"[−–%]", re.sub(r"\\%", "", "\n".join(lines[1:])))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here (apt-get install texlive-latex-recommended)")
def test_a_latex_run_accepts_it(apart: Table, tmp_path: Path) -> None:
    hostile = replace(apart[0][0], label='*[1] · a_b^c~d é <x> "q" `y\' \\input{/etc/passwd}')
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + text("latex", ([hostile], apart[1]))
    (tmp_path / "a.tex").write_text(document + text("latex", apart) + r"\end{document}")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "a.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "a.pdf").stat().st_size > 1000


@pytest.mark.parametrize("name", ["csv", "xlsx"])
def test_no_name_is_a_formula(name: table_files.Format, apart: Table, tmp_path: Path) -> None:
    evil = replace(apart[0][0], label='=HYPERLINK("x")')
    path = tmp_path / f"a.{name}"
    path.write_bytes(table_files.content(name, [evil], apart[1]))
    frame = pd.read_csv(path) if name == "csv" else pd.read_excel(path)
    assert frame.loc[0, "model"] == '\'=HYPERLINK("x")'


@pytest.mark.parametrize(
    ("out", "formats", "names"),
    [
        ("a.html", [], {"html": "a.html"}),
        ("a.tex", [], {"latex": "a.tex"}),
        ("a", [], {"html": "a"}),
        ("a.html", ["latex", "csv"], {"latex": "a.tex", "csv": "a.csv"}),
    ],
)
def test_where_the_tables_go(out: str, formats: Sequence[str], names: dict[str, str]) -> None:
    assert table_files.paths(Path(out), formats) == {name: Path(path) for name, path in names.items()}


def test_a_suffix_of_no_format_is_refused() -> None:
    with pytest.raises(ViubenchError, match=r"no table is written as '\.docx'"):
        table_files.paths(Path("a.docx"), [])


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ViubenchError, match="no such format: 'tex'"):
        table_files.paths(Path("a.html"), ["csv", "tex"])
