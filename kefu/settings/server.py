"""The settings of the server itself, and the groups of settings that other parts have."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from kefu.secret import Secret, SecretUrl
from kefu.settings.bot import BotSettings
from kefu.settings.escalation import EscalationSettings
from kefu.settings.notifications import NotificationSettings
from kefu.settings.recommendations import RecommendationSettings
from kefu.settings.shifts import ShiftSettings

_Name = Annotated[str, Meta(max_length=255)]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose. Read once at the start; nothing here changes afterwards."""

    bot: BotSettings = BotSettings()
    escalation: EscalationSettings = EscalationSettings()
    shifts: ShiftSettings = ShiftSettings()
    notifications: NotificationSettings = NotificationSettings()
    recommendations: RecommendationSettings = RecommendationSettings()

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
    shop_currency: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z]{3}\Z",
            description="The currency of products that name none, as CNY, TWD or USD.",
        ),
    ] = "CNY"
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
