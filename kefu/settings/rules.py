"""What a type cannot say of a setting: its shape in detail, and which settings need each other.

Whether a file, a host or an account exists is not asked here: that is for whoever uses it.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from kefu.secret import Secret
from kefu.settings.bot import BotSettings
from kefu.settings.names import variable
from kefu.settings.server import Settings
from kefu.settings.shifts import ShiftSettings

MIN_SECRET_BYTES = 32

_MOMENT: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MAIL_ADDRESS: Final = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
_KEY: Final = re.compile(r"[!-~]+")
_COZE_NEEDS: Final = (
    "coze_workflow_id",
    "coze_app_id",
    "coze_oauth_client_id",
    "coze_oauth_public_key_id",
)


def broken(name: str, value: object) -> str | None:
    """What is wrong with the value of one setting, as a sentence's end; None when nothing is."""
    match name, value:
        case (("jwt_secret" | "ops_token"), Secret() as secret):
            if len(secret.reveal().encode()) < MIN_SECRET_BYTES:
                return f"shorter than {MIN_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one"
        case "database_url", Secret() as url:
            return _scheme_broken(url.reveal(), ("postgresql", "postgres"))
        case "redis_url", Secret() as url:
            return _scheme_broken(url.reveal(), ("redis", "rediss", "unix"))
        case "public_url" | "bot_icon_url", str() as url:
            return _scheme_broken(url, ("https", "http"))
        case "allowed_origins", tuple() as origins:
            if not all(map(_is_origin, origins)):
                return "an origin is written https://host or https://host:port, nothing more"
        case (("coze_api_base" | "dashscope_api_base" | "openai_base_url"), str() as url):
            if not _is_plain_address(url):
                return "the address is written https://host/path, without user, `?` or `#`"
        case _, Secret() as url if name.endswith("_webhook_url"):
            parts = _parts(url.reveal())
            if parts is None or not parts.hostname or parts.scheme not in ("https", "http"):
                return "the address must begin with https:// and a host"
        case "coze_oauth_private_key", Secret() as key:
            if "PRIVATE KEY-----" not in key.reveal():
                return "a private key is PEM text, from its -----BEGIN line to its -----END line"
        case (("dashscope_api_key" | "openai_api_key"), Secret() as key):
            if not _KEY.fullmatch(key.reveal()):
                return "a key has only letters, digits and signs, without spaces"
        case _:
            return _moment_broken(name, value) or _mail_broken(name, value)
    return None


def contradictions(settings: Settings) -> Iterator[str]:
    """What is wrong with settings that are right by themselves: a line each."""
    missing = [variable(name) for name in _provider_misses(settings.bot)]
    if missing:
        yield (
            f"{variable('ai_provider')} is {settings.bot.ai_provider}, which needs "
            f"{', '.join(missing)}: not set."
        )
    yield from _shift_contradictions(settings.shifts)


def _provider_misses(bot: BotSettings) -> Iterator[str]:
    match bot.ai_provider:
        case "coze":
            yield from (name for name in _COZE_NEEDS if getattr(bot, name) is None)
            if bot.coze_oauth_private_key is None and bot.coze_oauth_private_key_file is None:
                yield "coze_oauth_private_key"
        case "dashscope":
            if bot.dashscope_api_key is None:
                yield "dashscope_api_key"
        case "openai":
            is_openai_itself = urlsplit(bot.openai_base_url).hostname == "api.openai.com"
            if bot.openai_api_key is None and is_openai_itself:
                yield "openai_api_key"
        case "knowledge" | "none":
            pass


def _shift_contradictions(shifts: ShiftSettings) -> Iterator[str]:
    ends = {
        variable("human_shift_start"): shifts.human_shift_start,
        variable("human_shift_end"): shifts.human_shift_end,
    }
    absent = [name for name, value in ends.items() if value is None]
    if len(absent) == 1:
        (present,) = ends.keys() - absent
        yield f"{present} is set without {absent[0]}: a shift has a start and an end."


def _moment_broken(name: str, value: object) -> str | None:
    match name, value:
        case "human_shift_start", str() as moment:
            if not _MOMENT.fullmatch(moment):
                return "a time is written HH:MM, from 00:00 to 23:59"
        case "human_shift_end", str() as moment:
            if moment != "24:00" and not _MOMENT.fullmatch(moment):
                return "a time is written HH:MM, from 00:00 to 24:00"
        case "timezone", str() as zone:
            if not _is_zone(zone):
                return "this machine knows no such time zone; Asia/Shanghai is one"
        case "holidays", tuple() as days:
            wrong = [day for day in days if not _is_day(day)]
            if wrong:
                return f"{wrong[0]!r} is no day of the calendar, written YYYY-MM-DD"
    return None


def _mail_broken(name: str, value: object) -> str | None:
    match name, value:
        case "email_from", str() as address:
            if not _MAIL_ADDRESS.fullmatch(address):
                return "an address is written name@host"
        case "email_recipients", tuple() as addresses:
            if not all(map(_MAIL_ADDRESS.fullmatch, addresses)):
                return "an address is written name@host"
    return None


def _scheme_broken(url: str, schemes: tuple[str, ...]) -> str | None:
    if url.partition("://")[0] in schemes and "://" in url:
        return None
    return f"the address must begin with {schemes[0]}://"


def _is_origin(text: str) -> bool:
    parts = _parts(text)
    return (
        parts is not None
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and text == f"{parts.scheme}://{parts.netloc}"
        and "@" not in parts.netloc
        and "*" not in parts.netloc
    )


def _is_plain_address(text: str) -> bool:
    parts = _parts(text)
    return (
        parts is not None
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not {"?", "#"} & set(text)
    )


def _parts(text: str) -> SplitResult | None:
    """The parts of an address; None when it is none."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return None if re.search(r"\s", text) else parts


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return bool(_DAY.fullmatch(text))
