"""What the rules decide: events, or one of these ordinary refusals."""

from typing import Final

from kefu.conversations.commands import Refusal
from kefu.conversations.events import Event
from protocol.codes import ErrorCode

Decision = tuple[Event, ...] | Refusal

NOT_FOUND: Final = Refusal(ErrorCode.CHAT_NOT_FOUND)
ENDED: Final = Refusal(ErrorCode.CHAT_ENDED)
NOT_WAITING: Final = Refusal(ErrorCode.NOT_WAITING)
BOT_IS_SILENT: Final = Refusal(ErrorCode.MANUAL_IN_PROGRESS)
FORBIDDEN: Final = Refusal(ErrorCode.FORBIDDEN)
RATED_ONCE: Final = Refusal(ErrorCode.INVALID_MESSAGE, "This chat has been rated already.")
STILL_OPEN: Final = Refusal(ErrorCode.INVALID_MESSAGE, "A chat is rated after it has ended.")
NOBODY_IN_CHARGE: Final = Refusal(
    ErrorCode.INVALID_STATUS, "No agent is in charge of this chat: there is nobody to whisper to."
)
