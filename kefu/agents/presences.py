"""Who is at work, asked of the actors that know: the queue of everybody, an agent of themselves."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from actors import ActorError, Ref, Request
from kefu.agents import messages
from kefu.delivery import Origin
from kefu.dispatch import messages as dispatch
from kefu.errors import Problem
from protocol.agent import AgentStatusName
from protocol.codes import ErrorCode
from protocol.server import AgentPresence

WITHIN_S: Final = 10.0
NOWHERE: Final = Origin("")  # over HTTP the verdict is the answer; no socket is told


class ActorPresences:
    """`ref(kind, key)` addresses any actor."""

    def __init__(self, ref: Callable[[str, str], Ref[Any]]) -> None:
        self._ref = ref

    async def known(self) -> tuple[AgentPresence, ...]:
        """See `Presences.known`."""
        queue = self._ref(dispatch.KIND, dispatch.MAIN)
        known: tuple[AgentPresence, ...] = await _ask(queue, dispatch.ListPresence())
        return known

    async def choose(self, agent_id: UUID, status: AgentStatusName, note: str | None) -> None:
        """See `Presences.choose`."""
        agent = self._ref(messages.KIND, str(agent_id))
        verdict: messages.Verdict = await _ask(agent, messages.SetStatus(NOWHERE, status, note))
        if verdict.refused is not None:
            raise Problem(verdict.refused)


async def _ask(ref: Ref[Any], question: Request[Any]) -> Any:
    try:
        return await ref.ask(question, within=WITHIN_S)
    except ActorError:
        raise Problem(ErrorCode.OVERLOADED, retry_after_s=1.0) from None
