"""The settings of the way from the bot to a human, and of what happens when nobody comes."""

from typing import Annotated

from msgspec import Meta, Struct

_Word = Annotated[str, Meta(min_length=1, max_length=100)]

ASKS_FOR_HUMANS = (
    *("人工", "真人", "客服", "投诉", "无法解决", "转人工", "接人工"),
    *("投訴", "無法解決", "轉人工"),
    *("human", "agent", "representative", "complaint"),
)
FAILS_TO_ANSWER = (
    *("抱歉", "很抱歉", "无法", "不清楚", "不太清楚", "无法回答", "不能确定"),
    *("無法", "無法回答", "不能確定"),
    *("sorry", "i don't know", "not sure", "cannot answer"),
)


class EscalationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a chat goes from the bot to humans, and when it comes back."""

    regulator_keywords: Annotated[
        tuple[_Word, ...],
        Meta(max_length=200, description="Words of a customer that call for a human."),
    ] = ASKS_FOR_HUMANS
    regulator_fail_threshold: Annotated[
        int,
        Meta(
            ge=1, le=20, description="Failures of the bot in a row after which a human is called."
        ),
    ] = 3
    regulator_ai_fail_keywords: Annotated[
        tuple[_Word, ...],
        Meta(max_length=200, description="Words in the bot's answer that make it a failure."),
    ] = FAILS_TO_ANSWER
    regulator_vip_auto_escalate: Annotated[
        bool, Meta(description="Whether a VIP is taken to a human at once.")
    ] = True
    pending_timeout_s: Annotated[
        int,
        Meta(
            ge=30,
            le=86_400,
            description="Seconds without a human after which a chat that began with the bot goes "
            "back to it.",
        ),
    ] = 600
    agent_gone_timeout_s: Annotated[
        int,
        Meta(
            ge=30,
            le=86_400,
            description="Seconds after which the live chats of an agent who dropped off go back to "
            "the queue.",
        ),
    ] = 180
