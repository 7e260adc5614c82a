"""The shell of every page: one file that opens from disk, with its own style and scripts, and nothing else allowed.

Example:
    render("page.html.j2", ["page.js"], {"models": []}, {"findings": []})
    # '<!doctype html>...'
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reports.html import svg
from reports.html.escape import clean, embed_json, isolate
from reports.html.format import number, p_value, percent, points

SCRIPTS = ("chrome.js", "print.js")
"""What every page has."""

FEW = 100
"""A task with fewer samples than this is named as a small one."""

OF_FILE = "img-src data:; form-action 'none'"
OF_SERVER = "img-src data: 'self'; connect-src 'self'; form-action 'self'"
"""What a page may ask for beside its own style and scripts."""

MOST_VALUES = 40
"""Values of a group that are shown; the smallest beyond them are in results.json."""


@dataclass(frozen=True)
class Finding:
    """One question of the first screen with its answer; `warn` when the reader should be careful. `reasons` are shown
    on demand."""

    question: str
    answer: str
    detail: str
    warn: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A plot, its legend as (style, text), and its numbers; `of` is how many rows the table would have in full."""

    title: str
    plot: Markup
    legend: tuple[tuple[str, str], ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    of: int


def render(
    template: str,
    scripts: Sequence[str],
    data: Any,
    context: Mapping[str, Any],
    *,
    styles: Sequence[str] = (),
    served: bool = False,
) -> str:
    """The page as text; equal arguments give equal text.

    Args:
        scripts: files of `templates/` that are joined, in this order, into the page's one script, after those of
            every page.
        data: what the script reads, as JSON data; its strings are made safe here.
        context: what the template reads; its strings are made safe by the environment.
        styles: style sheets of `templates/` that follow the one of every page.
        served: the page comes from the viewer, which it may ask for data and images, and send its forms to.
    """
    style, script = ("\n".join(map(_asset, names)) for names in (("style.css", *styles), (*SCRIPTS, *scripts)))
    shell = {
        "policy": _policy(style, script) + (OF_SERVER if served else OF_FILE),
        "style": Markup(style),  # our own file, no data in it
        "script": Markup(script),
        "data": Markup(embed_json(data)),  # escaped for a script block
    }
    return _environment().get_template(template).render({**context, **shell})


def _environment() -> Environment:
    """Templates in which every string is escaped, and cleaned of what acts on a screen."""
    made = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_safe,
    )
    made.filters.update(verbatim=lambda text: escape(clean(text)))
    made.filters.update(percent=percent, points=points, clean=clean, number=number, p_value=p_value)
    made.globals.update({name: getattr(svg, name) for name in ("whisker", "bar", "stack", "heat", "key", "histogram")})
    return made


def _safe(value: Any) -> Any:
    """What a template shows, escaped after this: no name in it acts on a screen, or reorders what is beside it."""
    return isolate(clean(value)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    return files("reports").joinpath("templates", name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _policy(style: str, script: str) -> str:
    """Only the style and the script of this page, by hash."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; base-uri 'none'; "
