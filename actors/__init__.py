"""A runtime for actors: bounded mailboxes, deadlines, restarts, passivation, supervision.

It knows nothing of customer service. README.md says what an actor may count on.
"""

from actors.actor import Actor, ActorId, Context, Letter, Ref, Repeatable, Request
from actors.errors import (
    ActorCrashed,
    ActorError,
    ActorStopped,
    ActorUnavailable,
    DeadlineExceeded,
    LimitReached,
    MailboxFull,
    NoRoute,
    Reason,
)
from actors.mailbox import Coalesce, DropOldest, Overflow, Reject
from actors.remote import Deliver, Network, Transport
from actors.restart import RestartPolicy
from actors.router import Router
from actors.stats import DeadLetter, LastError, SupervisionNode
from actors.world import Kind

__all__ = [
    "Actor",
    "ActorCrashed",
    "ActorError",
    "ActorId",
    "ActorStopped",
    "ActorUnavailable",
    "Coalesce",
    "Context",
    "DeadLetter",
    "DeadlineExceeded",
    "Deliver",
    "DropOldest",
    "Kind",
    "LastError",
    "Letter",
    "LimitReached",
    "MailboxFull",
    "Network",
    "NoRoute",
    "Overflow",
    "Reason",
    "Ref",
    "Reject",
    "Repeatable",
    "Request",
    "RestartPolicy",
    "Router",
    "SupervisionNode",
    "Transport",
]
