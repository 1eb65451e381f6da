"""Mails and alerts as text and HTML. Pure; times come in as they are to be read.

Whatever people wrote is somebody else's: it is escaped in HTML, indented in text, so that nobody
can write a line that looks like another speaker's, and flattened where it stands in a header.
"""

import re
from html import escape
from typing import Final, assert_never
from unicodedata import category

from msgspec import Struct

from kefu.notifications.state import Alert, AlertKind
from kefu.notifications.texts import Words

TRANSCRIPT_CHARS: Final = 100_000
HEADER_CHARS: Final = 60
ADDRESS_CHARS: Final = 254
# Narrower than the standard, on purpose: no quotes, no comments, nothing a header could read as
# two addresses.
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}"
)
_UNSEEN: Final = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_CELL: Final = 'style="padding:2px 12px 2px 0;vertical-align:top"'


class Line(Struct, frozen=True):
    """One message of a transcript."""

    at: str
    speaker: str
    content: str


class Sheet(Struct, frozen=True):
    """All that a mail about a chat says. `email` is where a reply goes, None for nowhere."""

    subject: str
    intro: str
    facts: tuple[tuple[str, str], ...]
    email: str | None = None
    lines: tuple[Line, ...] = ()
    left_out: int = 0
    has_transcript: bool = True


def as_text(sheet: Sheet, words: Words) -> str:
    parts = [sheet.intro, _answer(sheet, words), ""]
    parts += [f"{label}{words.colon}{_indented(value)}" for label, value in sheet.facts]
    if sheet.has_transcript:
        lines, left_out = _newest(sheet)
        parts += ["", f"-- {words.transcript} --"]
        if left_out:
            parts.append(words.left_out.format(count=left_out))
        if not lines:
            parts.append(words.nothing_said)
        for line in lines:
            speaker = flat(line.speaker)
            parts.append(f"[{line.at}] {speaker}{words.colon}{_indented(line.content)}")
    return "\n".join(parts) + "\n"


def as_html(sheet: Sheet, words: Words) -> str:
    rows = "".join(
        f"<tr><td {_CELL}><b>{_marked(label)}</b></td><td {_CELL}>{_marked(value)}</td></tr>"
        for label, value in sheet.facts
    )
    parts = [
        '<!doctype html><html><head><meta charset="utf-8"></head>',
        '<body style="font-family:sans-serif;font-size:14px">',
        f"<p>{_marked(sheet.intro)}<br>{_marked(_answer(sheet, words))}</p>",
        f"<table>{rows}</table>",
    ]
    if sheet.has_transcript:
        lines, left_out = _newest(sheet)
        parts.append(f"<h3>{_marked(words.transcript)}</h3>")
        if left_out:
            parts.append(f"<p>{_marked(words.left_out.format(count=left_out))}</p>")
        if not lines:
            parts.append(f"<p>{_marked(words.nothing_said)}</p>")
        parts += [
            f'<p><b>{_marked(flat(line.speaker))}</b> <span style="color:#777">'
            f"{_marked(line.at)}</span><br>{_marked(line.content)}</p>"
            for line in lines
        ]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def alert_line(alert: Alert, words: Words) -> str:
    """An alert as one line for robots and mails."""
    if alert.is_over:
        over: dict[AlertKind, str] = {
            "waiting": words.over_waiting,
            "nobody": words.over_nobody,
            "errors": words.over_errors,
            "latency": words.over_latency,
        }
        return words.cleared + over[alert.kind]
    match alert.kind:
        case "waiting":
            wait, limit = _duration(alert.value, words), _duration(alert.limit, words)
            return words.alert_waiting.format(count=alert.count, wait=wait, limit=limit)
        case "nobody":
            return words.alert_nobody.format(count=alert.count)
        case "errors":
            value, limit = f"{alert.value:.1%}", f"{alert.limit:.1%}"
            return words.alert_errors.format(value=value, limit=limit)
        case "latency":
            value, limit = f"{alert.value:.2f} s", f"{alert.limit:.2f} s"
            return words.alert_latency.format(value=value, limit=limit)
        case _:
            assert_never(alert.kind)


def flat(text: str, limit: int = HEADER_CHARS) -> str:
    """Text that fits in a header: one line, nothing invisible, of bounded length.

    What looks like an encoded word is broken up: `email` would decode it, line breaks and all.
    """
    plain = "".join(" " if category(char) in _UNSEEN else char for char in text)
    line = " ".join(plain.replace("=?", "= ?").split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def is_address(text: str) -> bool:
    """Whether it is one plain e-mail address and nothing else."""
    return len(text) <= ADDRESS_CHARS and _ADDRESS.fullmatch(text) is not None


def _newest(sheet: Sheet) -> tuple[tuple[Line, ...], int]:
    """The last lines that fit, and how many are left out."""
    room, first = TRANSCRIPT_CHARS, len(sheet.lines)
    while first and (room := room - len(sheet.lines[first - 1].content)) >= 0:
        first -= 1
    return sheet.lines[first:], sheet.left_out + first


def _answer(sheet: Sheet, words: Words) -> str:
    return words.reply_directly if sheet.email else words.no_address


def _clean(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        char for char in lines if char in "\n\t" or category(char) not in ("Cc", "Cs", "Zl", "Zp")
    )


def _indented(text: str) -> str:
    return _clean(text).replace("\n", "\n    ")


def _marked(text: str) -> str:
    """Escaped for HTML; what is written from right to left keeps to its own place."""
    return f"<bdi>{escape(_clean(text))}</bdi>".replace("\n", "<br>")


def _duration(seconds: float, words: Words) -> str:
    if seconds < 120:
        return words.seconds.format(count=round(seconds))
    return words.minutes.format(count=round(seconds / 60))
