"""Every error a client can be told and every code a socket can close with, in one table each.

The sentences are what a person reads when their client knows no better; pages translate by code.
"""

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple


class ErrorCode(StrEnum):
    INVALID_MESSAGE = "INVALID_MESSAGE"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    CONTENT_TOO_LONG = "CONTENT_TOO_LONG"
    UNSUPPORTED_MESSAGE_TYPE = "UNSUPPORTED_MESSAGE_TYPE"
    CHAT_ID_REQUIRED = "CHAT_ID_REQUIRED"
    NO_FIELDS_TO_UPDATE = "NO_FIELDS_TO_UPDATE"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    CHAT_NOT_FOUND = "CHAT_NOT_FOUND"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    AGENT_NOT_FOUND = "AGENT_NOT_FOUND"
    PRODUCT_NOT_FOUND = "PRODUCT_NOT_FOUND"
    CATEGORY_NOT_FOUND = "CATEGORY_NOT_FOUND"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CHAT_ENDED = "CHAT_ENDED"
    CHAT_ALREADY_OPEN = "CHAT_ALREADY_OPEN"
    NOT_WAITING = "NOT_WAITING"
    ALREADY_TAKEN = "ALREADY_TAKEN"
    AGENT_AT_CAPACITY = "AGENT_AT_CAPACITY"
    AGENT_OFFLINE = "AGENT_OFFLINE"
    MANUAL_IN_PROGRESS = "MANUAL_IN_PROGRESS"
    INVALID_STATUS = "INVALID_STATUS"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    IN_USE = "IN_USE"
    TOO_LARGE = "TOO_LARGE"
    UNPROCESSABLE = "UNPROCESSABLE"
    RATE_LIMITED = "RATE_LIMITED"
    OVERLOADED = "OVERLOADED"
    AI_UNAVAILABLE = "AI_UNAVAILABLE"
    INTERNAL = "INTERNAL"


class Explanation(NamedTuple):
    http_status: int
    sentence: str


ERRORS: Final[dict[ErrorCode, Explanation]] = {
    ErrorCode.INVALID_MESSAGE: Explanation(400, "This is not a message kefu understands."),
    ErrorCode.UNKNOWN_TYPE: Explanation(400, "There is no such type of message here."),
    ErrorCode.CONTENT_TOO_LONG: Explanation(400, "A message holds at most 4,000 characters."),
    ErrorCode.UNSUPPORTED_MESSAGE_TYPE: Explanation(
        400, "A message is of type text, image or product."
    ),
    ErrorCode.CHAT_ID_REQUIRED: Explanation(400, "Say which chat: you have none or several open."),
    ErrorCode.NO_FIELDS_TO_UPDATE: Explanation(400, "Nothing that may be changed was given."),
    ErrorCode.UNAUTHORIZED: Explanation(401, "Please sign in (again)."),
    ErrorCode.FORBIDDEN: Explanation(403, "Your role does not allow this."),
    ErrorCode.CHAT_NOT_FOUND: Explanation(404, "There is no such chat."),
    ErrorCode.ORDER_NOT_FOUND: Explanation(404, "There is no such order."),
    ErrorCode.AGENT_NOT_FOUND: Explanation(404, "There is no such agent or team."),
    ErrorCode.PRODUCT_NOT_FOUND: Explanation(404, "There is no such product."),
    ErrorCode.CATEGORY_NOT_FOUND: Explanation(404, "There is no such category."),
    ErrorCode.NOT_FOUND: Explanation(404, "There is nothing at this address."),
    ErrorCode.METHOD_NOT_ALLOWED: Explanation(405, "This address does not take that method."),
    ErrorCode.CHAT_ENDED: Explanation(409, "This chat has ended."),
    ErrorCode.CHAT_ALREADY_OPEN: Explanation(409, "You have a chat open already."),
    ErrorCode.NOT_WAITING: Explanation(409, "This chat is not waiting for an agent."),
    ErrorCode.ALREADY_TAKEN: Explanation(409, "A colleague has taken this chat."),
    ErrorCode.AGENT_AT_CAPACITY: Explanation(409, "All of the agent's places are taken."),
    ErrorCode.AGENT_OFFLINE: Explanation(409, "This agent is not signed in."),
    ErrorCode.MANUAL_IN_PROGRESS: Explanation(409, "A person is in charge of this chat."),
    ErrorCode.INVALID_STATUS: Explanation(409, "The chat's present state does not allow this."),
    ErrorCode.ALREADY_EXISTS: Explanation(409, "There is one with this name already."),
    ErrorCode.IN_USE: Explanation(409, "Something else still needs this."),
    ErrorCode.TOO_LARGE: Explanation(413, "This is larger than kefu accepts."),
    ErrorCode.UNPROCESSABLE: Explanation(422, "This breaks a rule of the data."),
    ErrorCode.RATE_LIMITED: Explanation(429, "Too much at once; please wait a moment."),
    ErrorCode.OVERLOADED: Explanation(503, "kefu cannot take this right now; please try again."),
    ErrorCode.AI_UNAVAILABLE: Explanation(503, "The assistant cannot answer right now."),
    ErrorCode.INTERNAL: Explanation(500, "Something went wrong on our side."),
}


class CloseCode(IntEnum):
    """4000-4499: come back and resume. 4500-4999: do not come back by yourself."""

    TOO_LARGE = 1009
    RESTARTING = 1012
    OVERLOADED = 1013
    SLOW_CONSUMER = 4008
    IDLE = 4009
    DRAINING = 4012
    SIGNED_OUT = 4501
    TOO_MANY_DEVICES = 4503
    ABUSIVE = 4504


# A close reason travels in a control frame of at most 123 bytes.
CLOSE_REASONS: Final[dict[CloseCode, str]] = {
    CloseCode.TOO_LARGE: "frame larger than 64 KiB",
    CloseCode.RESTARTING: "server restarting, come back",
    CloseCode.OVERLOADED: "server overloaded, come back later",
    CloseCode.SLOW_CONSUMER: "reading too slowly, come back and resume",
    CloseCode.IDLE: "idle, come back when needed",
    CloseCode.DRAINING: "server draining, come back and resume",
    CloseCode.SIGNED_OUT: "token expired, revoked or signed out",
    CloseCode.TOO_MANY_DEVICES: "too many devices",
    CloseCode.ABUSIVE: "too many invalid or excessive frames",
}
