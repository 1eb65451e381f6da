"""What the settings say about the hours in which humans are there. Nothing said: always."""

from msgspec import Struct

DEFAULT_ZONE = "Asia/Shanghai"


class ShiftOptions(Struct, frozen=True):
    """Named like the settings. `human_shift_start` and `human_shift_end` come together."""

    human_shift_start: str | None = None
    human_shift_end: str | None = None
    timezone: str = DEFAULT_ZONE
    weekends_disabled: bool = False
    holidays: tuple[str, ...] = ()
