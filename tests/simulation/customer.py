"""Customers: they ask, wait, wander off, come back, and now and then send nonsense."""

from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from protocol.codes import ErrorCode
from protocol.server import ChatState, Error
from tests.simulation.chat_copy import ChatCopy
from tests.simulation.client import Client

NOBODY: Final = UUID(int=0)
NONSENSE: Final[tuple[tuple[str | bytes | dict[str, Any], ErrorCode], ...]] = (
    ("{", ErrorCode.INVALID_MESSAGE),
    (b"\x81", ErrorCode.INVALID_MESSAGE),
    ({"type": "accept_chat", "payload": {}}, ErrorCode.UNKNOWN_TYPE),
    ({"type": "watch_chat", "payload": {"chat_id": NOBODY}}, ErrorCode.UNKNOWN_TYPE),
    ({"type": "send_message", "payload": {"content": ""}}, ErrorCode.INVALID_MESSAGE),
    ({"type": "rate_chat", "payload": {"rating": 9}}, ErrorCode.INVALID_MESSAGE),
    (
        {"type": "send_message", "payload": {"content": "x" * 4001}},
        ErrorCode.CONTENT_TOO_LONG,
    ),
)


def customer_id(number: int) -> UUID:
    return uuid5(NOBODY, f"customer {number}")


class Customer(Client):
    """`canary` stands in everything said by or to this customer, and in nothing of others."""

    def __init__(self, world: Any, number: int, device: int) -> None:
        self.canary = f"~c{number}~"
        super().__init__(
            world, f"customer-{number}{'ab'[device]}", customer_id(number), f"c{number}"
        )
        self._latest: ChatCopy | None = None
        self._expected: list[ErrorCode] = []

    def follows(self, state: ChatState) -> bool:
        return state.status != "ended"

    @property
    def chat(self) -> ChatCopy | None:
        """The open one, as far as this device knows."""
        found = [copy for copy in self.copies.values() if copy.is_followed]
        return found[-1] if found else None

    def connect(self) -> None:
        self._expected.clear()
        super().connect()

    def greeted(self) -> None:
        """No status came of a chat that was open: then it ended while we were away."""
        for copy in self.copies.values():
            if copy.state is not None and copy.status != "ended" and not copy.is_followed:
                copy.state = msgspec.structs.replace(copy.state, status="ended")
                self.resume(copy)

    def hear(self, frame: Any) -> None:
        if isinstance(frame, Error) and frame.reply_to is None and self._expected:
            expected = self._expected.pop(0)
            if frame.payload.code not in (expected, ErrorCode.RATE_LIMITED):
                self.world.violate("I12", f"{frame.payload.code} instead of {expected}")

    def act(self) -> None:
        chance = self.random.random()
        if self.world.is_calm:
            return
        if chance < 0.02:
            self._nonsense()
        elif chance < 0.04:
            self._stray()
        elif chance < 0.06 and self.sendings:
            self._repeat()
        elif self.chat is None:
            self._begin()
        else:
            self._go_on(self.chat, self.random.random())

    def _begin(self) -> None:
        chance = self.random.random()
        if chance < 0.6:
            self.send(self._words())
        elif chance < 0.9:
            mode = self.random.choice(("human", "bot"))
            self.say("start_chat", {"topic": self.canary, "mode": mode})
        else:
            self.say("rate_chat", {"rating": self.random.randint(1, 5)})

    def _go_on(self, chat: ChatCopy, chance: float) -> None:
        if chance < 0.75:
            for _ in range(self.random.choice((1, 1, 1, 2, 3))):
                named = chat.chat_id if self.random.random() < 0.5 else None
                self.send(self._words(), named)
        elif chance < 0.80:
            self.say("mark_read", {"seq": chat.have}, is_answered=False)
        elif chance < 0.83:
            self.say("typing", {"is_typing": True}, is_answered=False)
        elif chance < 0.92:
            self.say("request_human", {"reason": self.canary})
        elif chance < 0.94:
            self.say("return_to_bot", {})
        elif chance < 0.955:
            self.say("end_chat", {"rating": 5} if chance < 0.945 else {})
        elif chance < 0.97:
            self.say("start_chat", {"mode": "human"})
        elif chance < 0.98:
            self.reconnect()
        elif chance < 0.982:
            self.flood()
        else:
            self.resume(chat)

    def _nonsense(self) -> None:
        if self.link is not None:
            said, code = self.random.choice(NONSENSE)
            self._expected.append(code)
            self.note("invoke", "nonsense", code.value)
            self.link.say(self.encoded(said) if isinstance(said, dict) else said)
            self.world.sent += 1

    def _stray(self) -> None:
        """Somebody else's chat does not exist for us."""
        chat_id = self.world.some_chat_not_of(self.person_id, self.random)
        if chat_id is not None:
            payload = {"chat_id": chat_id, "content": self._words()}
            self.say("send_message", payload, then=self._strayed)
            self.say("resume", {"chat_id": chat_id, "last_seq": 0}, then=self._strayed)

    def _strayed(self, frame: Any) -> None:
        code = frame.payload.code if isinstance(frame, Error) else None
        if code not in (ErrorCode.CHAT_NOT_FOUND, ErrorCode.OVERLOADED, ErrorCode.INTERNAL):
            if code is not ErrorCode.RATE_LIMITED:
                self.world.violate("I4", f"{self.name} reached another's chat: {code}")

    def _repeat(self) -> None:
        sending = self.random.choice(list(self.sendings.values()))
        if sending.receipt is None:
            return
        if self.random.random() < 0.7:
            self.send_again(sending)
        else:
            payload = {**sending.payload, "content": self._words()}
            self.say("send_message", payload, then=self._differed)

    def _differed(self, frame: Any) -> None:
        if not isinstance(frame, Error):
            self.world.violate("I2", f"{self.name} used one key for two messages")

    def _words(self) -> str:
        return f"{self.name} {len(self.sendings) + 1} {self.canary}"
