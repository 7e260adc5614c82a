"""Lists as JSON, for the commands that have `--json`.

Example:
    print_json({"engine": "oracle"})
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=1, ensure_ascii=False))
