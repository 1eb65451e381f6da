"""Every setting of the server: its meaning, its bounds, and where its value came from.

A value comes from the command line, else the environment, else the env file, else kefu.toml,
else the default. A `KEFU_*` name that no setting has stops the start, because a misspelt limit
that is silently ignored is worse than no start. An empty value counts as not set.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from kefu.secret import Secret, SecretUrl
from kefu.setting_files import SettingsError, read_env, read_toml
from kefu.setting_words import accepts, is_list

MIN_SECRET_BYTES = 32

_Name = Annotated[str, Meta(max_length=255)]

ALIASES = {
    "DATABASE_URL": "database_url",
    "HOST": "host",
    "JWT_SECRET_KEY": "jwt_secret",
    "PORT": "port",
    "REDIS_URL": "redis_url",
    "SESSION_EXPIRE_SECONDS": "session_expire_s",
}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose. Read once at the start; nothing here changes afterwards."""

    host: Annotated[
        str,
        Meta(max_length=255, description="The address to listen on; 0.0.0.0 for every one."),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Meta(ge=0, le=65535, description="The port to listen on; 0 lets the system choose one."),
    ] = 8000
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="Processes that serve the port together. What is said to be per instance "
            "is per worker; each has a log file of its own (kefu-1.log ...).",
        ),
    ] = 1
    public_url: Annotated[
        str | None,
        Meta(description="The address customers use, when a proxy stands in front of kefu."),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="The addresses whose X-Forwarded-For and X-Forwarded-Proto are believed."),
    ] = ("127.0.0.1",)
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(description="The shops that may connect from a browser, as https://shop.example."),
    ] = ()

    data_dir: Annotated[
        Path,
        Meta(description="Where the bundled PostgreSQL and Valkey keep their files, and uploads."),
    ] = Path(".kefu")
    database_url: Annotated[
        SecretUrl | None,
        Meta(description="A PostgreSQL (15 or newer) of your own; not set: the bundled one."),
    ] = None
    redis_url: Annotated[
        SecretUrl | None,
        Meta(description="A Redis or Valkey (7 or newer) of your own; not set: the bundled one."),
    ] = None
    pg_bin: Annotated[
        Path | None,
        Meta(description="The folder of PostgreSQL's programs, where none are bundled."),
    ] = None
    database_pool_size: Annotated[
        int, Meta(ge=2, le=500, description="Connections to PostgreSQL, per instance.")
    ] = 20
    redis_pool_size: Annotated[
        int, Meta(ge=2, le=1000, description="Connections to Redis, per instance.")
    ] = 50

    jwt_secret: Annotated[
        Secret | None,
        Meta(
            description="The key shared with the shop that signs customers' tokens (HS256, at "
            "least 32 bytes); not set: made once and kept in the database."
        ),
    ] = None
    jwt_issuer: Annotated[
        _Name | None,
        Meta(description="The `iss` a customer's token must carry, when set."),
    ] = None
    jwt_audience: Annotated[
        _Name | None,
        Meta(description="The `aud` a customer's token must carry, when set."),
    ] = None
    ops_token: Annotated[
        Secret | None,
        Meta(
            description="A bearer token for machines that read the ops endpoints (at least 32 "
            "bytes); not set: agents with the right role only."
        ),
    ] = None
    allow_guests: Annotated[
        bool, Meta(description="Whether a customer may chat without a token from the shop.")
    ] = True

    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Sockets held at once, per instance.")
    ] = 20_000
    max_handshakes_per_s: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="Sockets and streams let in a second, per instance; beyond it: come back "
            "later. The last quarter is kept for whoever brings a token. 0: no limit.",
        ),
    ] = 500
    max_connections_per_person: Annotated[
        int, Meta(ge=1, le=1000, description="Sockets one person may hold at once.")
    ] = 10
    idle_timeout_s: Annotated[
        int,
        Meta(
            ge=0,
            le=604_800,
            description="Seconds after which a connection on which neither side says anything, "
            "pings left out, is closed; 0: never.",
        ),
    ] = 14_400
    max_frame_rate: Annotated[
        int, Meta(ge=1, le=10_000, description="Frames a second that one socket may send.")
    ] = 20
    max_frame_burst: Annotated[
        int, Meta(ge=1, le=100_000, description="Frames that may come at once before the rate.")
    ] = 60

    ai_provider: Annotated[
        Literal["none"], Meta(description="Who answers first; for now only `none`: people do.")
    ] = "none"
    assignment_mode: Annotated[
        Literal["manual", "round_robin", "least_busy"],
        Meta(
            description="Who is offered a waiting chat: nobody (agents pick), each in turn, or "
            "whoever has the fewest chats."
        ),
    ] = "manual"
    offer_timeout_s: Annotated[
        float,
        Meta(ge=1, le=600, description="Seconds a waiting chat is offered to one agent."),
    ] = 30.0
    agent_default_max_sessions: Annotated[
        int, Meta(ge=1, le=50, description="Chats an agent holds at once unless told otherwise.")
    ] = 5
    silent_chat_timeout_s: Annotated[
        int,
        Meta(
            ge=60,
            le=2_592_000,
            description="Seconds without a word after which a chat ends whose customer has gone; "
            "never while they wait for a human.",
        ),
    ] = 1_800
    session_expire_s: Annotated[
        int,
        Meta(ge=60, le=31_536_000, description="Seconds a silent session stays in Redis."),
    ] = 86_400
    demo: Annotated[bool, Meta(description="Whether to load the demo shop and its page.")] = False

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important lines that are still written."),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"],
        Meta(description="How lines are written; `auto`: text on a terminal, else JSON."),
    ] = "auto"
    log_file: Annotated[
        Path | None,
        Meta(description="A file that gets the same lines as JSON (10 MB each, five kept)."),
    ] = None
    drain_window_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="The most seconds over which a server that stops closes its connections; "
            "it takes one for every 500 of them.",
        ),
    ] = 10.0
    shutdown_timeout_s: Annotated[
        float,
        Meta(ge=1, le=600, description="Seconds from the signal to stop until all must be done."),
    ] = 15.0


class Entry(Struct, frozen=True):
    """One setting as `kefu config check` shows it."""

    name: str
    value: object
    source: str
    meaning: str
    problem: str | None = None


class Explanation(Struct, frozen=True):
    """All settings with their sources; `settings` is there when nothing is wrong."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    settings: Settings | None


class _Found(Struct, frozen=True):
    value: object
    source: str
    written_as: str


def load(
    environ: Mapping[str, str],
    *,
    env_file: Path | None = None,
    toml_file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings to run with. Raises SettingsError with the first thing that is wrong."""
    found = explain(environ, env_file=env_file, toml_file=toml_file, overrides=overrides)
    if found.settings is None:
        more = len(found.problems) - 1
        hint = f" ({more} more: run `kefu config check`)" if more else ""
        raise SettingsError(found.problems[0] + hint)
    return found.settings


def explain(
    environ: Mapping[str, str],
    *,
    env_file: Path | None = None,
    toml_file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Explanation:
    """Where every setting comes from and what is wrong with it.

    Raises SettingsError only when a named file cannot be read at all.
    """
    found: dict[str, _Found] = {}
    problems: list[str] = []
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    _take_named(given, "the command line", found, problems)
    _take_variables(environ, "the environment", found, problems)
    if env_file is not None:
        _take_variables(read_env(env_file), str(env_file), found, problems)
    if toml_file is not None:
        _take_named(read_toml(toml_file), str(toml_file), found, problems)
    entries = tuple(_entry(name, found.get(name)) for name in FIELDS)
    problems += [entry.problem for entry in entries if entry.problem]
    values = {entry.name: entry.value for entry in entries}
    settings = None if problems else msgspec.convert(values, Settings, dec_hook=_make)
    return Explanation(entries, tuple(problems), settings)


FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


def meaning(name: str) -> str:
    """The sentence that explains a setting."""
    (meta,) = FIELDS[name].type.__metadata__
    return str(meta.description)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"KEFU_{name.upper()}"


def _take_variables(
    variables: Mapping[str, str], source: str, found: dict[str, _Found], problems: list[str]
) -> None:
    here: dict[str, _Found] = {}
    for key, value in variables.items():
        name = key[5:].lower() if key.startswith("KEFU_") else ALIASES.get(key)
        if name is None or value == "":
            continue
        if name not in FIELDS or not (key in ALIASES or key == variable(name)):
            problems.append(f"{key} in {source} is no setting of kefu; {_nearest_variable(key)}")
            continue
        other = here.get(name)
        if other is not None and other.value != value:
            problems.append(f"{other.written_as} and {key} in {source} differ: keep one of them.")
        here[name] = _Found(value, source, key)
    for name, setting in here.items():
        found.setdefault(name, setting)


def _take_named(
    table: Mapping[str, object], source: str, found: dict[str, _Found], problems: list[str]
) -> None:
    for name, value in table.items():
        if name in FIELDS:
            found.setdefault(name, _Found(value, source, name))
        else:
            problems.append(f"{name} in {source} is no setting of kefu; {_nearest(name, FIELDS)}")


def _nearest_variable(key: str) -> str:
    return _nearest(key.upper(), [variable(name) for name in FIELDS])


def _nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "`kefu config check` lists them."


def _entry(name: str, found: _Found | None) -> Entry:
    field = FIELDS[name]
    if found is None:
        return Entry(name, field.default, "default", meaning(name))
    try:
        value = _convert(found.value, field.type)
        wrong = _rule_broken(name, value)
    except msgspec.ValidationError:
        value, wrong = None, f"it takes {accepts(field.type)}"
    if wrong is None:
        return Entry(name, value, found.source, meaning(name))
    shown = "***" if _is_secret(field.type) else repr(found.value)[:80]
    line = f"{found.written_as} in {found.source} is {shown}: {wrong}."
    return Entry(name, shown, found.source, meaning(name), line)


def _convert(value: object, kind: Any) -> object:
    if isinstance(value, str) and is_list(kind):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return msgspec.convert(value, kind, strict=not isinstance(value, str), dec_hook=_make)


def _make(kind: type, value: object) -> object:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str):
        raise ValueError(f"Expected str, got {type(value).__name__}")
    if issubclass(kind, Path):
        return Path(value).expanduser()
    return SecretUrl(value) if issubclass(kind, SecretUrl) else Secret(value)


def _is_secret(kind: Any) -> bool:
    return "Secret" in str(kind)


def _rule_broken(name: str, value: object) -> str | None:
    match name, value:
        case (("jwt_secret" | "ops_token"), Secret() as secret):
            if len(secret.reveal().encode()) < MIN_SECRET_BYTES:
                return f"shorter than {MIN_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one"
        case "database_url", Secret() as url:
            return _scheme_broken(url.reveal(), ("postgresql", "postgres"))
        case "redis_url", Secret() as url:
            return _scheme_broken(url.reveal(), ("redis", "rediss", "unix"))
        case "public_url", str() as url:
            return _scheme_broken(url, ("https", "http"))
        case "allowed_origins", tuple() as origins:
            for origin in origins:
                if not _is_origin(origin):
                    return "an origin is written https://host or https://host:port, nothing more"
    return None


def _scheme_broken(url: str, schemes: tuple[str, ...]) -> str | None:
    if url.partition("://")[0] in schemes and "://" in url:
        return None
    return f"the address must begin with {schemes[0]}://"


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and text == f"{parts.scheme}://{parts.netloc}"
        and "@" not in parts.netloc
        and "*" not in parts.netloc
    )
