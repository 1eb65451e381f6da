"""An answer that comes from somebody else than was asked may die on its way: that is said."""

from typing import Any

import pytest

from kefu.agents import messages as agents
from kefu.gateway.owed import FOLLOWS_WITHIN_S
from protocol.server import ChatStatus
from tests.gateway.office import Office
from tests.gateway.stage import CHAT, NOW, passes, simulated


class Desk(Office):
    """The agent's actor accepts; whether the conversation's frame comes is up to `is_heard`."""

    def __init__(self, *, is_heard: bool) -> None:
        super().__init__()
        self.is_heard = is_heard

    def _answer(self, message: Any) -> Any:
        if isinstance(message, agents.Accept):
            if self.is_heard:
                status = ChatStatus(self.of(CHAT).payload, NOW, message.origin.frame_id)
                self.hub.reply(message.origin, status)
            return agents.Verdict()
        return super()._answer(message)


@pytest.mark.parametrize("is_heard", [True, False])
def test_only_an_answer_that_does_not_come_is_made_up_for(is_heard: bool) -> None:
    async def story() -> None:
        peer = await Desk(is_heard=is_heard).at_work()
        peer.say("accept_chat", {"chat_id": str(CHAT)}, id="a")
        await passes(FOLLOWS_WITHIN_S - 0.5)
        assert peer.heard("error") == []
        await passes(2 * FOLLOWS_WITHIN_S)
        told = [(each["payload"]["code"], each["reply_to"]) for each in peer.heard("error")]
        assert told == ([] if is_heard else [("OVERLOADED", "a")])
        await peer.leave()

    simulated(story)
