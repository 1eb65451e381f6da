"""What an ask or a send may end in besides an answer.

Every one is an `ActorError`, and each says whether trying again makes sense. None of them
carries a message's contents, so their text may be logged.
"""

from enum import StrEnum
from typing import assert_never


class ActorError(Exception):
    """The runtime could not get this message answered."""


class DeadlineExceeded(ActorError):
    """No answer came in time. The message may or may not have been handled."""


class MailboxFull(ActorError):
    """The actor has too much waiting and did not take the message. Try again later."""


class ActorUnavailable(ActorError):
    """The actor keeps failing and rests for a while. Try again later."""


class NoRoute(ActorUnavailable):
    """No such kind of actor is known here. A mistake in the program: do not try again."""


class ActorCrashed(ActorError):
    """This message made the actor fail twice and was set aside. Do not send it again."""


class ActorStopped(ActorError):
    """The actor, or all of this instance, is shutting down. Try again elsewhere."""


class LimitReached(ActorError):
    """An actor set more reminders or watches than it may have. A mistake in the actor."""


class Reason(StrEnum):
    """Why a message was not handled."""

    EXPIRED = "expired"
    OVERFLOW = "overflow"
    POISON = "poison"
    STOPPED = "stopped"
    UNAVAILABLE = "unavailable"
    NO_ROUTE = "no_route"


def error_for(id: object, reason: Reason) -> ActorError:
    """What an asker of the actor `id` is told when its message was not handled."""
    match reason:
        case Reason.EXPIRED:
            return DeadlineExceeded(f"{id} did not answer before the deadline")
        case Reason.OVERFLOW:
            return MailboxFull(f"{id} has too many messages waiting; try again later")
        case Reason.POISON:
            return ActorCrashed(f"{id} failed twice over this message; do not send it again")
        case Reason.STOPPED:
            return ActorStopped(f"{id} is shutting down; try again elsewhere")
        case Reason.UNAVAILABLE:
            return ActorUnavailable(f"{id} failed too often and rests; try again later")
        case Reason.NO_ROUTE:
            return NoRoute(f"no actor of the kind of {id} is known here")
        case _:
            assert_never(reason)
