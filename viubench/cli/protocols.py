"""`viubench protocols`: how questions are shown and answered, by name; what each engine is asked; the page of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from viubench.cli.examples import shown
from viubench.cli.listing import Json, print_json
from viubench.cli.run import arguments, takes

app = typer.Typer(no_args_is_help=True, help="List and show protocols, and what each engine is asked under them.")

SETTINGS = (
    "model engine frames fps max_pixels max_tokens temperature top_p top_k samples system thinking set include_path"
)


@app.command("list", epilog=shown("protocols list"))
@takes("include_path")
def list_(
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/protocols.md.")] = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Every protocol: frames, sizes, decoding and source."""
    from reports.tables.terminal import table
    from viubench.runner.protocol_page import page, row
    from viubench.tasks.registry import Catalogue

    catalogue = Catalogue(tuple(options["include_path"]))
    if markdown:
        print(page(catalogue), end="")
        return
    if json:
        print_json({name: protocol.model_dump(mode="json") for name, protocol in sorted(catalogue.protocols.items())})
        return
    rows = [row(protocol) for _, protocol in sorted(catalogue.protocols.items())]
    heads = list(rows[0])
    print(table([[one[head] for head in heads] for one in rows], heads, ["left"] * len(heads)))


@app.command(epilog=shown("protocols show"))
@takes(SETTINGS)
def show(
    name: str,
    *,
    task: Annotated[str | None, typer.Option(help="With this task's own changes to the decoding.")] = None,
    **options: Any,
) -> None:
    """One protocol as YAML, with the changes that the options of viubench run make, and each engine's request."""
    import yaml

    from viubench.runner.config import EvalConfig
    from viubench.runner.protocol_requests import requests
    from viubench.runner.protocols import resolve
    from viubench.tasks.registry import Catalogue

    catalogue = Catalogue(tuple(options["include_path"]))
    config = EvalConfig(protocol=name, **arguments(options))
    resolved = resolve(config, catalogue, name, None, catalogue.task(task) if task else None)
    protocol = resolved.protocol
    data = {"hash": protocol.hash(), **protocol.model_dump(mode="json")}
    print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100).rstrip())
    if protocol.decoding.generation_config:
        print("# a checkpoint's generation_config.json is read first: name one with --model")
    for engine, request in requests(protocol).items():
        print(f"\n# {engine}, beside the messages; the seed is each answer's own")
        print(yaml.safe_dump(request, sort_keys=False, allow_unicode=True, width=100).rstrip())
    for note in resolved.notes:
        print(f"# note: {note}")
