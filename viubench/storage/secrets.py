"""Keys and passwords, kept out of everything that is written or shown, also where a server sends them back.

Example:
    >>> mask("POST https://ann:pw12@host/v1?key=abcd failed: Bearer sk-1234")
    'POST https://***@host/v1?key=*** failed: Bearer ***'
    >>> hide("sk-test-0001")
    >>> mask("no such key: sk-test-0001")
    'no such key: ***'
"""

from __future__ import annotations

import base64
import json
import logging
import re
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
SHORTEST = 4  # characters; a shorter text would be found everywhere
ANYWHERE = 8  # from this length on, a secret is masked inside of longer words too
PLACEHOLDERS = frozenset({"empty", "none", "null", "dummy", "test", "token", "secret", "password", "key"})
"""What is given where a key is asked for and none is needed."""

NAMES = r"[\w.-]*(?:api[_-]?key|apikey|token|secret|passw(?:or)?d|signature|credential|authorization)s?|key|sig|auth"
"""Names of query parameters, headers and settings whose value is a secret."""

_NAME = re.compile(rf"(?:{NAMES}|cookie)", re.IGNORECASE)
_CODED = r"[\w.~+/=-]"
_GENERAL = (
    (re.compile(r"(?<=://)[^/?#\s@'\"]+@"), f"{MASK}@"),
    (re.compile(rf"(?<=[?&])({NAMES})=[^&#\s'\"<>\\)]+", re.IGNORECASE), rf"\1={MASK}"),
    (re.compile(rf"\b((?i:bearer|basic)(?:\s+|%20))(?={_CODED}*(?:[\d=]|[a-z][A-Z])){_CODED}{{4,}}"), rf"\1{MASK}"),
)

_hidden: dict[str, re.Pattern[str]] = {}


def hide(secret: str) -> None:
    """From now on `mask` removes `secret` from any text, also quoted for JSON or a URL and in base64."""
    secret = secret.strip()
    if len(secret) < SHORTEST or secret.lower() in PLACEHOLDERS or secret in _hidden:
        return
    encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=")
    forms = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote_plus(secret), unquote(secret), encoded}
    pattern = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    _hidden[secret] = re.compile(pattern if len(secret) >= ANYWHERE else rf"(?<!\w)(?:{pattern})(?!\w)")


def is_secret_name(name: str) -> bool:
    """Whether a header or setting of this name holds a secret."""
    return _NAME.fullmatch(name) is not None


def mask(text: str) -> str:
    """`text` without hidden secrets, users and passwords of URLs, key parameters and bearer tokens."""
    for pattern in _hidden.values():
        text = pattern.sub(MASK, text)
    for pattern, instead in _GENERAL:
        text = pattern.sub(instead, text)
    return text


def masked(value: Any) -> Any:
    """`value` as JSON has it, with every text in it masked; names stay."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {name: masked(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(masked, value))
    return value


class MaskingFilter(logging.Filter):
    """Masks what is logged, before a handler has it."""

    def filter(self, record: logging.LogRecord) -> Any:
        record.msg, record.args = mask(record.getMessage()), ()
        return True
