"""Keeps secrets and people's words out of what is written down.

A field's name decides whether its value is shown. Text that others wrote (a library's message,
a path with its query) is searched for what looks like a secret. An exception's own words can
quote a customer, so of an exception only its type and where it came from are kept.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from traceback import extract_tb
from uuid import UUID

HIDDEN = "***"
MAX_TEXT = 2000

_PRIVATE_NAME = re.compile(
    r"token|secret|password|passwd|authorization|cookie|content|feedback|email|phone", re.IGNORECASE
)
_MEASURES = ("_count", "_bytes", "_chars", "_s")
_PRIVATE_TEXT = (
    (re.compile(r"((?:token|secret|password|code)=)[^\s&\"'<>;]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\bbearer[ .]\S+", re.IGNORECASE), f"Bearer {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),
    (re.compile(r"(?<=://)[^\s/@]+@"), ""),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), HIDDEN),
    (re.compile(r"(?<![\w.-])(?!\d{4}-\d\d-\d\d)\+?\d[\d -]{8,20}\d(?![\w.-])"), HIDDEN),
    (re.compile(r"(exception=\w+)\(.*", re.DOTALL), r"\1(...)"),
)


def redacted(name: str, value: object) -> object:
    """The value of a field as it may be written."""
    if value is not None and _PRIVATE_NAME.search(name) and not name.endswith(_MEASURES):
        return HIDDEN
    match value:
        case str():
            return scrubbed(value)
        case Mapping():
            return {str(key): redacted(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [redacted(name, inner) for inner in value]
        case None | bool() | int() | float() | UUID() | datetime():
            return value
        case Path():
            return str(value)
    return f"<{type(value).__name__}>"


def scrubbed(text: str) -> str:
    """Text of unknown origin without what looks like a secret, an e-mail or a phone number."""
    text = text[:MAX_TEXT]
    for pattern, replacement in _PRIVATE_TEXT:
        text = pattern.sub(replacement, text)
    return text


def trace(error: BaseException) -> str:
    """Type and places of an exception, its causes and its members, without their words."""
    return "\n".join(_trace_lines(error, depth=0))


def _trace_lines(error: BaseException, depth: int) -> list[str]:
    if depth > 8:
        return ["..."]
    lines = [type(error).__qualname__]
    lines += [f"  {at.filename}:{at.lineno} {at.name}" for at in extract_tb(error.__traceback__)]
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions[:8]:
            lines += [f"  | {line}" for line in _trace_lines(member, depth + 1)]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        lines += ["after", *_trace_lines(cause, depth + 1)]
    return lines
