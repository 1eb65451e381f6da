"""Every setting of the server: its meaning, its bounds, and where its value came from.

The fields are in a file for each group (`server.py`, `bot.py` ...); `Settings` holds the groups.
Outside there are no groups: a setting has one name, as a variable and in kefu.toml, wherever it is
kept. `read.py` collects the values, `rules.py` judges what a type cannot.
"""

from kefu.settings.bot import BotSettings
from kefu.settings.escalation import EscalationSettings
from kefu.settings.files import SettingsError
from kefu.settings.names import ALIASES, FIELDS, GROUPS, meaning, variable
from kefu.settings.notifications import NotificationSettings
from kefu.settings.read import Entry, Explanation, explain, load
from kefu.settings.recommendations import RecommendationSettings
from kefu.settings.rules import MIN_SECRET_BYTES
from kefu.settings.server import Settings
from kefu.settings.shifts import ShiftSettings

__all__ = [
    "ALIASES",
    "FIELDS",
    "GROUPS",
    "MIN_SECRET_BYTES",
    "BotSettings",
    "Entry",
    "EscalationSettings",
    "Explanation",
    "NotificationSettings",
    "RecommendationSettings",
    "Settings",
    "SettingsError",
    "ShiftSettings",
    "explain",
    "load",
    "meaning",
    "variable",
]
