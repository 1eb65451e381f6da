"""What an ask or a send may end in besides an answer.

Every one is an `ActorError`, and each says whether trying again makes sense. None of them
carries a message's contents, so their text may be logged.
"""

from enum import StrEnum


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


_ANSWERS: dict[Reason, tuple[type[ActorError], str]] = {
    Reason.EXPIRED: (DeadlineExceeded, "did not answer before the deadline"),
    Reason.OVERFLOW: (MailboxFull, "has too many messages waiting; try again later"),
    Reason.POISON: (ActorCrashed, "failed twice over this message; do not send it again"),
    Reason.STOPPED: (ActorStopped, "is shutting down; try again elsewhere"),
    Reason.UNAVAILABLE: (ActorUnavailable, "failed too often and rests; try again later"),
    Reason.NO_ROUTE: (NoRoute, "is of a kind that is not known here"),
}


def error_for(id: object, reason: Reason) -> ActorError:
    """What an asker of the actor `id` is told when its message was not handled."""
    error, sentence = _ANSWERS[reason]
    return error(f"{id} {sentence}")
