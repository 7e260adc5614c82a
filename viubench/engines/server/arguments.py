"""The `--engine-arg`s of the server engine, read and checked.

Example:
    >>> settings = Settings.read({"timeout": "30", "omit": "seed,top_p", "extra_body": '{"reasoning_effort": "low"}'})
    >>> settings.timeout, sorted(settings.omit), settings.extra_body
    (30.0, ['seed', 'top_p'], {'reasoning_effort': 'low'})
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from viubench.engines import engine_args
from viubench.errors import ViubenchError
from viubench.storage import secrets

KEY = "OPENAI_API_KEY"
"""The environment variable of the key, where no other is named."""

FORMATS = {"jpeg": "jpeg-q95", "png": "png"}

ARGUMENTS: dict[str, engine_args.Kind] = {
    "transport": ("auto", "video", "images", "file"),
    "transport_format": tuple(FORMATS),
    "file_as": ("path", "data"),
    "size_multiple": int,
    "timeout": float,
    "retries": int,
    "max_in_flight": int,
    "requests_per_minute": float,
    "tokens_per_minute": float,
    "api_key_env": str,
    "headers": str,
    "extra_body": str,
    "omit": str,
    "max_tokens_field": ("max_tokens", "max_completion_tokens"),
    "constraint": ("auto", "structured_outputs", "response_format"),
    "sight": ("on", "off"),
    "stream": ("auto", "true", "false"),
}
OMITTABLE = (
    *("temperature", "top_p", "top_k", "min_p", "stop", "seed"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty"),
)
"""Parameters of a request that may be left out of it."""

OURS = frozenset({"model", "messages", "n", "stream", "stream_options", "media_io_kwargs", "mm_processor_kwargs"})
"""Fields that `extra_body` cannot have."""

LEAST = {"size_multiple": 1, "retries": 0, "max_in_flight": 1}
ABOVE_ZERO = ("timeout", "requests_per_minute", "tokens_per_minute")

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Settings:
    """How a server is reached and asked. Seconds; None where the engine decides.

    Attributes:
        timeout: of one try, from the request's first byte to the answer's last.
        retries: tries after the first.
        file_as: how `transport=file` names the file: by its path on the server's disk, or all of its bytes.
        headers: those of every request, keys from the environment put in.
        omit: sampling parameters that are left out of the request.
        extra_body: merged into every request.
        sight: whether the server must show that its model sees the frames.
        own_key: whether a key was given for this run, not just found in the environment.
    """

    transport: str = "auto"
    transport_format: str = "jpeg"
    file_as: str = "path"
    size_multiple: int | None = None
    timeout: float | None = None
    retries: int = 5
    max_in_flight: int | None = None
    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    max_tokens_field: str = "max_tokens"
    constraint: str = "auto"
    stream: str = "auto"
    sight: bool = True
    own_key: bool = False
    omit: frozenset[str] = frozenset()
    extra_body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Settings:
        """From `--engine-arg`s; ViubenchError for one that is unknown, out of range or not of its form."""
        given = engine_args.typed(args, ARGUMENTS, "server")
        for name, value in given.items():
            if name in LEAST and value < LEAST[name]:
                raise _wrong(name, value, f"at least {LEAST[name]} is needed")
            if name in ABOVE_ZERO and not (value > 0 and math.isfinite(value)):
                raise _wrong(name, value, "a number above 0 is needed")
        key_named = "api_key_env" in given
        given |= {"headers": _headers(given.pop("api_key_env", KEY), given.get("headers", ""), key_named)}
        given |= {"extra_body": _object("extra_body", given.get("extra_body", ""))}
        given |= {"omit": frozenset(re.findall(r"\w+", given.get("omit", "")))}
        if odd := given["omit"] - set(OMITTABLE):
            raise _wrong("omit", ",".join(sorted(odd)), f"only {', '.join(OMITTABLE)} can be left out")
        if odd := OURS & set(given["extra_body"]):
            raise _wrong("extra_body", ", ".join(sorted(odd)), "that is ours to say")
        given |= {"sight": given.get("sight", "on") == "on"}
        own_key = key_named or any(
            name.lower() == "authorization" for name in _object("headers", args.get("headers", ""))
        )
        return cls(**given, own_key=own_key)


def _headers(key_name: str, more: str, must: bool) -> dict[str, str]:
    """Headers with the key of the environment variable `key_name`, which is there where it `must`, and `more`."""
    if not re.fullmatch(r"[A-Za-z_]\w*", key_name):
        secrets.hide(key_name)  # most likely the key itself
        hint = "export MY_KEY=..., then --engine-arg api_key_env=MY_KEY"
        raise ViubenchError("that is no name of an environment variable", where="--engine-arg api_key_env", hint=hint)
    key = _unquoted(os.environ.get(key_name, ""))
    if not (key.isascii() and key.isprintable()):
        raise ViubenchError(
            f"the environment variable {key_name} holds more than a key: a line break, or a letter that no key has",
            where="--engine-arg api_key_env" if must else key_name,
            hint=f"set it anew: export {key_name}=...",
        )
    if must and not key:
        raise ViubenchError(f"the environment variable {key_name} is not set", where="--engine-arg api_key_env")
    secrets.hide(key)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    for name, value in _object("headers", more).items():
        if not isinstance(value, str):
            raise _wrong("headers", f"{name}: ...", "its value must be text")
        text = _VARIABLE.sub(_variable, value)
        if secrets.is_secret_name(name):
            secrets.hide(text.rpartition(" ")[2])
        headers = {old: kept for old, kept in headers.items() if old.lower() != name.lower()} | {name: text}
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise ViubenchError(f"the header {name} holds characters that no header may have", where="--engine-arg")
    return headers


def _unquoted(key: str) -> str:
    """A key without what a file of settings leaves around it: blanks, quotes, the word Bearer."""
    key = key.strip()
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'":
        key = key[1:-1].strip()
    return key[7:].strip() if key[:7].lower() == "bearer " else key


def _variable(found: re.Match[str]) -> str:
    name = found[1] or found[2]
    if name not in os.environ:
        raise ViubenchError(f"the environment variable {name} is not set", where="--engine-arg headers")
    secrets.hide(value := _unquoted(os.environ[name]))
    return value


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        hint = f"""for example --engine-arg '{name}={{"name": "value"}}'"""
        raise ViubenchError(f"{name} is no JSON object", where="--engine-arg", hint=hint)
    return value


def _wrong(name: str, value: object, why: str) -> ViubenchError:
    return ViubenchError(f"{name}={value}: {why}", where="--engine-arg")
