"""A scripted bot outside: it answers customers, late enough for a human to come between."""

from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kefu.cluster.bridge import SEPARATOR
from kefu.conversations import messages as conversations
from kefu.delivery import Origin
from kefu.gateway.outbox import Outgoing
from protocol.codes import CloseCode
from protocol.server import Error, MessageAck
from tests.simulation.tables import Columns

if TYPE_CHECKING:
    from tests.simulation.instance import Instance
    from tests.simulation.world import World

THINKS_UP_TO_S = 3.0
SPEAKER = conversations.Party("ai")


class Ear:
    """Where the bot hears its receipts and refusals: a listener of one instance's hub."""

    topics = ()

    def __init__(self, bot: "Bot", instance: str) -> None:
        self.id = f"{instance}{SEPARATOR}bot"
        self._bot = bot

    def deliver(self, outgoing: Outgoing) -> None:
        self._bot.hear(outgoing)

    def close(self, code: CloseCode) -> None:
        """Nobody signs the bot out."""


class Bot:
    """Speaks through whichever instance is there."""

    id = "bot"

    def __init__(self, world: "World") -> None:
        self.answer_count = 0
        self.refused_count = 0
        self._world = world
        self._random = Random(f"{world.seed} bot")
        self._said = 0

    def listen_at(self, instance: "Instance") -> None:
        instance.hub.add(Ear(self, instance.process.name))

    def hear(self, outgoing: Outgoing) -> None:
        frame: Any = outgoing.frame
        if isinstance(frame, MessageAck):
            self.answer_count += 1
            self._world.note(self.id, "ok", "answer", frame.payload.chat_id, frame.payload.seq)
        elif isinstance(frame, Error):
            self.refused_count += 1
            self._world.note(self.id, "fail", "answer", frame.payload.code.value)

    def committed(self, messages: list[Columns]) -> None:
        """Somebody said something durably."""
        world = self._world
        if not world.is_bot_ready or world.is_calm:
            return
        for message in messages:
            life = world.rules.lives[message["chat_id"]]
            is_asked = message["sender_type"] == "customer" and life.status == "bot"
            if is_asked and self._random.random() < 0.8:
                thinks_s = self._random.uniform(0.01, THINKS_UP_TO_S)
                world.later(thinks_s, self._answer, message["chat_id"], life.customer_id)

    def _answer(self, chat_id: UUID, customer_id: UUID) -> None:
        instance = self._world.nodes.pick()
        if instance is None:
            return
        self._said += 1
        self._world.count_message()
        self._world.note(self.id, "invoke", "answer", chat_id)
        content = f"bot {self._said} {self._world.canary_of(chat_id)}"
        origin = Origin(f"{instance.process.name}{SEPARATOR}{self.id}")
        speak = conversations.SendMessage(origin, SPEAKER, content, chat_id=chat_id)
        instance.tell(conversations.KIND, str(customer_id), speak)
