"""Who answers at an address: where its interface begins, what model it serves, and what kind of server it is.

Example:
    (await greet(connection, "http://127.0.0.1:8000", None)).model   # 'Qwen/Qwen3-VL-8B-Instruct'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from viubench.engines import families
from viubench.engines.families import Family
from viubench.engines.server.http import Connection, Failed, Refused, at, root_of
from viubench.engines.server.message import one_line
from viubench.errors import EngineError, ViubenchError

CHAT = "/chat/completions"
NO_LIST = (404, 405, 501)
"""HTTP statuses by which a server says that it lists no models."""

DEPLOYED = (".azure.com", ".azure.us", ".azure.cn")
"""Where a model is asked for by the name of its deployment, and answers as the model."""

_VERSION = re.compile(r"/(?:api/)?v\d+(?:alpha|beta)?\d*(?:/|$)")
_RESIZING = re.compile(r"internvl|llava|smolvlm|minicpm|perception", re.IGNORECASE)
_PLAIN = re.compile(r"[^a-z0-9]")
_MULTIPLE_28 = re.compile(r"qwen2(?:\.5)?-?_?(?:vl|omni)", re.IGNORECASE)


@dataclass(frozen=True)
class Served:
    """A model behind an address. `kind` is "vllm", "sglang", "lmdeploy" or another owner; `root` the folder or hub id
    that the server loaded, where it says so."""

    url: str
    model: str
    kind: str = ""
    version: str = "unknown"
    root: str = ""


async def greet(connection: Connection, url: str, model: str | None) -> Served:
    """Who answers at `url`; `model` is the name to ask for, None for the only one served. Raises ViubenchError where
    nobody does, the key is refused, or the model is not there."""
    problem: EngineError | None = None
    for base in bases(url):
        try:
            entries = _entries(await connection.get(at(base, "/models")))
        except EngineError as error:
            problem = error if problem is None or _absent(problem) else problem
            if isinstance(error, Refused) and error.status in (401, 403):
                raise _unreachable(
                    url, error, "check the key: OPENAI_API_KEY, or --engine-arg api_key_env=NAME"
                ) from error
            if isinstance(error, Failed) and error.status is None:
                break
            continue
        return await _described(connection, base, entries, await _chosen(connection, base, entries, model))
    if model is not None and not (isinstance(problem, Failed) and problem.status is None):
        for base in (possible := bases(url)):
            if len(possible) == 1 or await connection.takes(at(base, CHAT)):
                return Served(base, model)
    hint = "start it (for example `vllm serve MODEL`), or check the address and OPENAI_API_KEY"
    if _absent(problem) and model is None:
        hint = "if this server lists no models, name one with --model; " + hint
    if _moved(problem):
        hint = "it points to another address: give that one as --base-url"
    raise _unreachable(url, problem, hint)


def bases(url: str) -> list[str]:
    """Where the interface of an address may begin: as it is where it names a version, else first below /v1.

    >>> bases("http://localhost:8000"), bases("https://gateway/v1beta/openai/")
    (['http://localhost:8000/v1', 'http://localhost:8000'], ['https://gateway/v1beta/openai'])
    """
    bare, mark, query = url.partition("?")
    bare = bare.strip().rstrip("/").removesuffix(CHAT).removesuffix("/models")
    parts = urlsplit(bare)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ViubenchError(f"not a URL: {url}", where="--base-url", hint="for example http://127.0.0.1:8000/v1")
    below = [bare] if _VERSION.search(parts.path + "/") else [bare + "/v1", bare]
    return [base + mark + query for base in below]


def checkpoint_of(root: str) -> dict[str, Any]:
    """`path` and `model_type` of what the server loaded, where its files are on this machine too; else empty."""
    config: dict[str, Any] = {}
    with suppress(OSError, ValueError, RecursionError):
        path = _config(root)
        config = json.loads(path.read_text(encoding="utf-8"))
        return {"path": str(path.parent), "model_type": config.get("model_type")} if isinstance(config, dict) else {}
    return {}


def multiple_by_name(name: str) -> int | None:
    """What both sides of a frame are a multiple of, for the models whose name tells; None for all others.

    >>> multiple_by_name("Qwen/Qwen2.5-VL-7B-Instruct")
    28
    """
    return 28 if _MULTIPLE_28.search(name) else None


def family_of(checkpoint: Mapping[str, Any], name: str) -> Family | None:
    """The family of a model, by its files where they are here, else by its name; None where neither tells.

    >>> family_of({}, "Qwen/Qwen2.5-VL-7B-Instruct") is families.FAMILIES["qwen2_5_vl"]
    True
    """
    if checkpoint:
        return families.family(checkpoint)
    plain = _PLAIN.sub("", name.lower())
    known = [key for key in families.FAMILIES if _PLAIN.sub("", key.removesuffix("_moe")) in plain]
    return families.FAMILIES[max(known, key=len)] if known else None


def takes_whole_videos(checkpoint: Mapping[str, Any], name: str) -> bool:
    """Whether a vLLM server can be sent frames of our sizes as one video. A model whose processor brings all frames to
    one size of its own cannot: with other frames some end the server, so that one must not try.

    >>> takes_whole_videos({}, "OpenGVLab/InternVL3_5-8B-HF"), takes_whole_videos({}, "Qwen/Qwen3-VL-8B-Instruct")
    (False, True)
    """
    row = family_of(checkpoint, name) or Family()
    sized = families.frame_format(checkpoint, "video").fixed is not None if checkpoint else bool(_RESIZING.search(name))
    return row.vllm == "video" and not row.resizes and not sized


def _config(root: str) -> Path:
    if Path(root).is_dir():
        return Path(root, "config.json")
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(root, "config.json")
    if not isinstance(found, str):
        raise FileNotFoundError(root)
    return Path(found)


def _entries(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = answer.get("data")
    if not isinstance(listed, list):
        raise EngineError("the list of models has no data")
    return [one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str)]


async def _chosen(connection: Connection, url: str, entries: list[Mapping[str, Any]], model: str | None) -> str:
    names = [str(entry["id"]) for entry in entries]
    shown = [one_line(name, 100) for name in names[:8]]
    if not names:
        raise ViubenchError(f"{url} serves 0 models", where="--base-url", hint="load a model in the server first")
    if model is None:
        if len(names) != 1:
            raise ViubenchError(f"{url} serves {len(names)} models", hint=f"--model {' | '.join(shown)}")
        return names[0]
    if any(_same(name, model) for name in names):
        return model
    # Gateways take names that they do not list. A server of one model takes any, and answers as the one it has.
    problem = await _asked_by_name(connection, url, model) if len(names) > 1 else ""
    if problem is not None:
        hint = f"it serves {', '.join(shown)}"
        raise ViubenchError(f"{url} does not serve {model}{problem}", where="--model", hint=hint)
    return model


def _same(listed: str, model: str) -> bool:
    """Whether a listed name is the one that is asked for, as servers take it.

    >>> _same("models/gemini-2.5-flash", "gemini-2.5-flash"), _same("llava:latest", "llava"), _same("a/b", "a/b:free")
    (True, True, True)
    """
    bare = model.partition(":")[0]  # OpenRouter's variants ("model:free") are not listed
    return listed in (model, bare, f"{model}:latest") or listed.endswith(f"/{model}")


async def _asked_by_name(connection: Connection, url: str, model: str) -> str | None:
    """None where a short question to this name is answered in it, or in a dated one of it; else what is wrong."""
    question = {"model": model, "messages": [{"role": "user", "content": "Reply with the word ok."}]}
    try:
        said = (await connection.post_to(at(url, CHAT), question)).data.get("model")
    except EngineError as error:
        return f": {error}"
    name = said if isinstance(said, str) else ""
    deployed = (urlsplit(url).hostname or "").endswith(DEPLOYED)
    if deployed or name.casefold().rpartition("/")[2].startswith(model.casefold().rpartition("/")[2]):
        return None
    return f", it answers as {one_line(name, 100)}" if name else ", it does not say which model answers"


async def _described(connection: Connection, base: str, entries: list[Mapping[str, Any]], model: str) -> Served:
    own = next((entry for entry in entries if entry["id"] == model), entries[0])
    owner, root = (value if isinstance(value, str) else "" for value in (own.get("owned_by"), own.get("root")))
    kind = owner if owner in ("vllm", "sglang", "lmdeploy") else ""
    version = f"{kind}, version unknown" if kind else "unknown"
    if kind == "vllm":
        with suppress(EngineError):
            said = (await connection.get(at(root_of(base), "/version"))).get("version")
            version = f"vllm {one_line(said, 40)}" if isinstance(said, str) else version
    return Served(base, model, kind, version, root)


def _absent(problem: EngineError | None) -> bool:
    """Whether a server has nothing at an address."""
    return isinstance(problem, Refused) and problem.status in NO_LIST


def _moved(problem: EngineError | None) -> bool:
    """Whether a server points to another address, which a request with a key does not follow."""
    return isinstance(problem, Refused) and 300 <= problem.status < 400


def _unreachable(url: str, problem: EngineError | None, hint: str) -> ViubenchError:
    return ViubenchError(f"no OpenAI-compatible server answers at {url}: {problem}", where="--base-url", hint=hint)
