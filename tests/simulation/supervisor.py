"""Supervisors: agents who also watch their colleagues' chats, whisper, and take over."""

from typing import Any, Final
from uuid import UUID

from protocol.codes import ErrorCode
from protocol.server import ChatState, ChatWatch, Error
from tests.simulation.agent import Agent
from tests.simulation.client import TRY_AGAIN

REFUSALS: Final = {*TRY_AGAIN, ErrorCode.CHAT_ENDED, ErrorCode.INVALID_STATUS}
WATCHED: Final = 8


class Supervisor(Agent):
    def __init__(self, world: Any, number: int) -> None:
        super().__init__(world, number)
        self.watching: set[UUID] = set()
        """On the present connection, as the server says."""
        self._wanted: dict[UUID, None] = {}

    def follows(self, state: ChatState) -> bool:
        return super().follows(state) or (
            state.chat_id in self.watching and state.status != "ended"
        )

    def expects(self, chat_id: UUID) -> bool:
        return chat_id in self.watching or super().expects(chat_id)

    def connect(self) -> None:
        self.watching.clear()
        super().connect()

    def greeted(self) -> None:
        """A watch ends with its connection: watch again."""
        super().greeted()
        for chat_id in list(self._wanted):
            self._watch(chat_id)

    def hear(self, frame: Any) -> None:
        if isinstance(frame, ChatWatch):
            self._take_watch(frame.payload.chat_id, frame.payload.is_watching)
        super().hear(frame)

    def _take_watch(self, chat_id: UUID, is_watching: bool) -> None:
        self.note("hear", "chat_watch", chat_id, is_watching)
        if is_watching:
            self.watching.add(chat_id)
            return
        self.watching.discard(chat_id)
        copy = self._copy(chat_id)
        if copy.state is None or not self.is_mine(copy.state):
            copy.is_followed = False

    def act(self) -> None:
        if self.world.is_calm or self.random.random() > 0.3:
            super().act()
        else:
            self._supervise(self.random.random())

    def _supervise(self, chance: float) -> None:
        anything = self.world.some_chat_not_of(self.person_id, self.random)
        watched = self.random.choice(sorted(self._wanted)) if self._wanted else anything
        if anything is None or watched is None:
            return
        if chance < 0.35:
            if len(self._wanted) < WATCHED:
                self._watch(anything)
        elif chance < 0.5:
            self._wanted.pop(watched, None)
            self.say("unwatch_chat", {"chat_id": watched}, then=self._judge)
        elif chance < 0.8:
            said = {"chat_id": watched, "content": self._aside(watched)}
            self.say("whisper", said, then=self._judge)
        elif chance < 0.9:
            self.say("take_over_chat", {"chat_id": watched}, then=self._taken(watched))
        else:
            to = self.random.choice(self.world.agent_ids)
            asked = {"chat_id": anything, "to_agent_id": to, "question": self._aside(anything)}
            self.say("request_assist", asked)

    def _watch(self, chat_id: UUID) -> None:
        self._wanted[chat_id] = None

        def then(frame: Any) -> None:
            self._judge(frame)
            if isinstance(frame, Error) and frame.payload.code is ErrorCode.CHAT_ENDED:
                self._wanted.pop(chat_id, None)

        self.say("watch_chat", {"chat_id": chat_id}, then=then)

    def _judge(self, frame: Any) -> None:
        if isinstance(frame, Error) and frame.payload.code not in REFUSALS:
            self.world.violate("I12", f"{self.name} may not supervise: {frame.payload.code}")
