"""The page of protocols and recipes, docs/protocols.md, written from the YAML.

Example:
    viubench protocols list --markdown > docs/protocols.md
"""

from __future__ import annotations

from viubench.runner import protocol_fields
from viubench.runner.protocols import FLAGS
from viubench.schema import Decoding, Protocol
from viubench.tasks.registry import Catalogue

PAGE = """\
# Protocols and recipes

A protocol is all that changes a score beside model and items: which frames are shown and how large, how the answer is
generated, what the chat template is given. Each task names one; `--protocol` takes another, by name or from a YAML
file, and these options change single fields of it:

{flags}

`--set` takes any field by its path: `--set decoding.min_p=0.1`, `--set resize.tokens=14336`,
`--set chat.template_kwargs.enable_thinking=false`. In Python these are keywords of `viubench.evaluate`, with
`set={{"decoding.min_p": 0.1}}`. What differs from the named protocol stands in its name
(`viubench+temperature=0.7+top_p=0.8`), in the manifest and on the page; two scores are compared under one hash only.

`viubench protocols show NAME` prints one with the exact request of each engine. This page is written from the YAML by
`viubench protocols list --markdown`.

## Protocols

{protocols}

## Fields

{fields}

## Recipes

How the makers of a model run it, where they say so, with ready commands.
{recipes}
"""


def page(catalogue: Catalogue) -> str:
    """The whole page as Markdown."""
    protocols = [protocol for _, protocol in sorted(catalogue.protocols.items())]
    flags = [[f"`--{name.replace('_', '-')}`", f"`{path}`"] for name, path in FLAGS.items()]
    fields = [[f"`{path}`", protocol_fields.allowed(path)] for path in protocol_fields.paths()]
    recipes = [recipe(protocol) for protocol in protocols if protocol.source]
    return PAGE.format(
        flags=_table(["option", "field"], flags),
        protocols=_table(list(row(protocols[0])), [list(row(protocol).values()) for protocol in protocols]),
        fields=_table(["field", "value"], fields),
        recipes="\n".join(recipes),
    )


def row(protocol: Protocol) -> dict[str, str]:
    """One protocol as a row of a table."""
    return {
        "protocol": protocol.protocol,
        "frames": frames(protocol),
        "size": size(protocol),
        "answer": answer(protocol),
        "prompt": protocol.prompt,
    }


def recipe(protocol: Protocol) -> str:
    """The part of the page about one protocol with a source."""
    commands = "\n".join(["```sh", *protocol.commands, "```"])
    return f"\n### {protocol.protocol}\n\n{protocol.description}\n\nSource: <{protocol.source}>\n\n{commands}"


def frames(protocol: Protocol) -> str:
    """Which frames are shown, in a few words."""
    how = protocol.sampling
    if how.kind == "even":
        return f"{how.frames} even, middle {100 * how.middle:g} %"
    most = f"{how.min_frames} to {how.frames:,}" if how.min_frames > 1 else f"at most {how.frames:,}"
    return f"{how.fps:g} a second, {most}"


def size(protocol: Protocol) -> str:
    """How large frames are, in a few words."""
    resize = protocol.resize
    parts = [f"{resize.max_pixels:,} pixels"]
    parts += [f"{resize.total_pixels:,} in all"] if resize.total_pixels else []
    parts += [f"{resize.tokens:,} tokens in all"] if resize.tokens else []
    return ", ".join(parts)


def answer(protocol: Protocol) -> str:
    """How the answer is generated, in a few words."""
    decoding, off = protocol.decoding, Decoding()
    parts = [f"{decoding.max_tokens:,} tokens"]
    if protocol.answers != "free":
        parts.append(protocol.answers)
    if decoding.generation_config:
        parts.append("the model's own sampling")
    elif decoding.temperature == 0:
        parts.append("greedy")
    else:
        names = (
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
        )
        parts += [
            f"{name} {getattr(decoding, name):g}" for name in names if getattr(decoding, name) != getattr(off, name)
        ]
    parts += [f"{decoding.samples} answers"] if decoding.samples > 1 else []
    parts += [f"thinking {protocol.chat.thinking}"] if protocol.chat.thinking != "default" else []
    return ", ".join(parts)


def _table(headers: list[str], rows: list[list[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
