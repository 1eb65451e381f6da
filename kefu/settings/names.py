"""What settings are called outside: one flat list of names, whatever group they are kept in."""

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from kefu.settings.bot import BotSettings
from kefu.settings.escalation import EscalationSettings
from kefu.settings.notifications import NotificationSettings
from kefu.settings.recommendations import RecommendationSettings
from kefu.settings.server import Settings
from kefu.settings.shifts import ShiftSettings

GROUPS: Final[dict[str, type[Struct]]] = {
    "bot": BotSettings,
    "escalation": EscalationSettings,
    "shifts": ShiftSettings,
    "notifications": NotificationSettings,
    "recommendations": RecommendationSettings,
}

_SERVER_ALIASES: Final = {
    "DATABASE_URL": "database_url",
    "HOST": "host",
    "JWT_SECRET_KEY": "jwt_secret",
    "PORT": "port",
    "REDIS_URL": "redis_url",
    "SESSION_EXPIRE_SECONDS": "session_expire_s",
}
_BOT_ALIASES: Final = {
    "bot_name": "COZE_BOT_NAME",
    "bot_icon_url": "COZE_BOT_ICON_URL",
    "bot_description": "COZE_BOT_DESCRIPTION",
    "bot_welcome": "COZE_BOT_WELCOME",
}

NAMES_BY_GROUP: Final = {
    group: tuple(field.name for field in msgspec.structs.fields(kind))
    for group, kind in GROUPS.items()
}
SERVER_NAMES: Final = tuple(
    field.name for field in msgspec.structs.fields(Settings) if field.name not in GROUPS
)
_KINDS: Final[tuple[type[Struct], ...]] = (Settings, *GROUPS.values())
FIELDS: Final[dict[str, FieldInfo]] = {
    field.name: field
    for kind in _KINDS
    for field in msgspec.structs.fields(kind)
    if field.name not in GROUPS
}
ALIASES: Final = _SERVER_ALIASES | {
    _BOT_ALIASES.get(name, name.upper()): name
    for names in NAMES_BY_GROUP.values()
    for name in names
}


def meaning(name: str) -> str:
    """The sentence that explains a setting."""
    (meta,) = FIELDS[name].type.__metadata__
    return str(meta.description)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"KEFU_{name.upper()}"
