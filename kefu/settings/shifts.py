"""The settings of the hours in which humans are there. None set: they always are."""

from typing import Annotated

from msgspec import Meta, Struct


class ShiftSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shop's hours; a team may have hours of its own, which administrators give it."""

    human_shift_start: Annotated[
        str | None,
        Meta(description="When humans begin, as HH:MM; not set: they are always there."),
    ] = None
    human_shift_end: Annotated[
        str | None,
        Meta(
            description="When humans stop, as HH:MM, at most 24:00; earlier than the start: on the "
            "next day."
        ),
    ] = None
    timezone: Annotated[
        str, Meta(max_length=100, description="The time zone of these hours, as Asia/Shanghai.")
    ] = "Asia/Shanghai"
    weekends_disabled: Annotated[
        bool, Meta(description="Whether nobody is there on Saturdays and Sundays.")
    ] = False
    holidays: Annotated[
        tuple[str, ...],
        Meta(max_length=1000, description="Days on which nobody is there, as YYYY-MM-DD."),
    ] = ()
