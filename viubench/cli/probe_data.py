"""`viubench probe-data`: which training items can still teach a model, by the rewards of several answers to each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from viubench.cli import files
from viubench.cli.run import arguments, takes

PAGE = "reward-groups.html"


@takes(
    "model base_model engine replicas base_url videos protocol frames fps max_pixels max_tokens top_p top_k system "
    "thinking set limit exclude name seed fresh frame_cache frame_cache_gb frame_cache_compress follow_links reader "
    "workers engine_arg deterministic include_path max_errors quiet debug"
)
def probe_data(
    *,
    items: Annotated[Path, typer.Option(help="Folder of items (viubench build).")],
    out: Annotated[Path, typer.Option(help="Run folder; one that is there is resumed. The page goes there too.")],
    samples: Annotated[int, typer.Option(min=2, help="Answers to each question, a group.")] = 8,
    temperature: Annotated[float, typer.Option(min=0.01, help="Of the sampling; take that of the training.")] = 1.0,
    json: Annotated[Path | None, typer.Option(help="Write everything there as JSON, too.")] = None,
    **options: Any,
) -> None:
    """Sample several answers to each item, as GRPO does, and show which groups of rewards differ."""
    import viubench
    from reports.ci import reward_groups
    from reports.html.escape import one_line
    from reports.pages import reward_groups_page
    from viubench.cli.progress import stages

    files.check({"--json": json})
    options = arguments(options) | {"items": items, "out": out, "samples": samples, "temperature": temperature}
    with stages(quiet=options.pop("quiet")) as progress:
        probe = viubench.probe_data(**options, progress=progress, argv=["viubench", *sys.argv[1:]])
    print(reward_groups.text(probe.groups))
    if json is not None:
        files.write(json, probe.groups.model_dump_json(by_alias=True, indent=1) + "\n", "--json", parents=True)
    files.write(out / PAGE, reward_groups_page.render(probe.groups), "--out")
    print(one_line(str((out / PAGE).resolve())))
