"""Whether everything that could grow is within its bounds, looked at from outside now and then."""

from typing import Final

from actors.workers import LINGERING_LIMIT
from kefu.agents.actor import AgentActor
from kefu.conversations.actor import ConversationActor
from kefu.dispatch.actor import QueueActor
from kefu.gateway.connection import Connection
from kefu.gateway.limits import INBOX_FRAMES, OUTBOX_FRAMES
from tests.simulation.instance import Instance

MAILBOXES: Final = {
    "conversation": ConversationActor.mailbox_limit,
    "agent": AgentActor.mailbox_limit,
    "queue": QueueActor.mailbox_limit,
}
TASKS_OF_A_CONNECTION: Final = 4
TASKS_OF_AN_INSTANCE: Final = LINGERING_LIMIT + 64


def size_of(instance: Instance) -> str | None:
    """A sentence about the first bound that is exceeded; None when all is well."""
    for kind in instance.router.tree().children:
        if kind.depth_max > MAILBOXES[kind.kind]:
            return f"{kind.depth_max} messages wait for one {kind.kind}"
    for listener in instance.hub:
        if isinstance(listener, Connection):
            too_large = _size_of(listener)
            if too_large is not None:
                return f"{listener.role.person}: {too_large}"
    limit = TASKS_OF_AN_INSTANCE + TASKS_OF_A_CONNECTION * len(instance.hub)
    count = instance.process.task_count
    return f"{count} tasks for {len(instance.hub)} connections" if count > limit else None


def _size_of(connection: Connection) -> str | None:
    views = connection.views
    held = max((view.held_count for view in views.values()), default=0)
    if held > OUTBOX_FRAMES + 1:
        return f"{held} frames are held back"
    # from outside nothing shows these two
    if len(connection._inbox) > INBOX_FRAMES + len(views):
        return f"{len(connection._inbox)} frames wait to be handled"
    if len(connection._outbox._queue) > OUTBOX_FRAMES:
        return f"{len(connection._outbox._queue)} frames wait to be written"
    return None
