"""Who is offered which waiting chat, in the automatic modes. Pure: it decides, the queue tells.

A chat on offer takes one of the agent's places as if it were theirs. Whoever passes on a chat
(declines it, or lets the offer run out) is not offered it again in this round; a round ends one
offer time after nobody is left to ask, and then everybody is asked anew. `now` is seconds of a
clock that never goes back, `day` seconds since the epoch.
"""

from collections.abc import Mapping
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from kefu.dispatch.messages import AgentPresence, Waiting
from kefu.dispatch.queue import in_order

AutomaticMode = Literal["round_robin", "least_busy"]
NOBODY_YET: Final[frozenset[UUID]] = frozenset()


class Offer(Struct, frozen=True):
    """`expires_at` is on the clock that never goes back."""

    chat_id: UUID
    agent_id: UUID
    team_id: UUID | None
    expires_at: float


class _Agent:
    """`offered` has the oldest first; the lowest `turn`, their last offer's number, is next."""

    __slots__ = ("offered", "presence", "reserved", "turn")

    def __init__(self, presence: AgentPresence) -> None:
        self.presence = presence
        self.reserved = NOBODY_YET
        self.offered: dict[UUID, Offer] = {}
        self.turn = 0

    @property
    def taken_count(self) -> int:
        """A chat that is both on offer and asked for takes one place."""
        return self.presence.active_count + len(self.offered.keys() | self.reserved)

    @property
    def is_online(self) -> bool:
        return self.presence.status == "online"

    @property
    def is_free(self) -> bool:
        return self.is_online and self.taken_count < self.presence.max_sessions

    def is_of(self, team_id: UUID | None) -> bool:
        return team_id is None or team_id in self.presence.team_ids


class _Round:
    """Who passed on a chat since everybody could be asked; `ends_at` once nobody is left to ask."""

    __slots__ = ("ends_at", "passed")

    def __init__(self) -> None:
        self.passed: set[UUID] = set()
        self.ends_at: float | None = None


class Assignment:
    """`offer_s` is how long an offer stands, and how long a round rests at its end."""

    def __init__(self, mode: AutomaticMode, offer_s: float) -> None:
        self._mode = mode
        self._offer_s = offer_s
        self._agents: dict[UUID, _Agent] = {}
        self._free: dict[UUID, _Agent] = {}
        self._offers: dict[UUID, Offer] = {}
        """The open ones by chat, the oldest first."""
        self._rounds: dict[UUID, _Round] = {}
        self._turns = 0

    # --- what is heard ----------------------------------------------------------------------------

    def note_agent(self, presence: AgentPresence, reserved: frozenset[UUID]) -> None:
        """What they can no longer be offered is taken back, and does not count as passed."""
        agent = self._agents.get(presence.agent_id)
        if agent is None:
            agent = self._agents[presence.agent_id] = _Agent(presence)
        agent.presence, agent.reserved = presence, reserved
        for offer in self.offers_to(presence.agent_id):
            if not (agent.is_online and agent.is_of(offer.team_id)):
                self._close(offer)
        for offer in reversed(self.offers_to(presence.agent_id)):  # the latest goes first
            if agent.taken_count > presence.max_sessions:
                self._close(offer)
        self._note_free(agent)

    def forget(self, chat_id: UUID) -> None:
        """The chat waits no longer."""
        self._rounds.pop(chat_id, None)
        if chat_id in self._offers:
            self._close(self._offers[chat_id])

    def decline(self, chat_id: UUID, agent_id: UUID) -> bool:
        """False when the chat is not on offer to this agent."""
        offer = self._offers.get(chat_id)
        if offer is None or offer.agent_id != agent_id:
            return False
        self._pass(offer)
        return True

    def elapse(self, now: float, waiting: Mapping[UUID, Waiting]) -> None:
        """End the offers and the rounds whose time has come."""
        for offer in list(self._offers.values()):
            if offer.expires_at > now:
                break
            self._pass(offer)
        for chat_id, round in list(self._rounds.items()):
            if round.ends_at is not None and round.ends_at <= now:
                del self._rounds[chat_id]
            elif round.ends_at is None and chat_id not in self._offers:
                if not any(self._may_get(agent, waiting[chat_id]) for agent in self._free.values()):
                    round.ends_at = now + self._offer_s

    # --- what is decided --------------------------------------------------------------------------

    def assign(self, waiting: Mapping[UUID, Waiting], now: float, day: float) -> list[Offer]:
        """The new offers. Afterwards nobody waits without one whom somebody free could be offered.

        Costs next to nothing while nobody is free or everybody is offered.
        """
        made: list[Offer] = []
        for one in in_order(self._wanting(waiting), day):
            agent = self._choose(one)
            if agent is not None:
                made.append(self._offer(one, agent, now))
        return made

    def stranded_count(self, waiting: Mapping[UUID, Waiting]) -> int:
        """How many wait without an offer though somebody free could be offered them."""
        return len(self._wanting(waiting))

    def offers_to(self, agent_id: UUID) -> list[Offer]:
        """What is on offer to them, the oldest first."""
        agent = self._agents.get(agent_id)
        return list(agent.offered.values()) if agent is not None else []

    def _wanting(self, waiting: Mapping[UUID, Waiting]) -> list[Waiting]:
        if not self._free or len(self._offers) == len(waiting):
            return []
        teams = {team_id for agent in self._free.values() for team_id in agent.presence.team_ids}
        return [
            one
            for one in waiting.values()
            if one.chat_id not in self._offers
            and (one.team_id is None or one.team_id in teams)
            and (one.chat_id not in self._rounds or self._choose(one) is not None)
        ]

    def _choose(self, one: Waiting) -> _Agent | None:
        takers = [agent for agent in self._free.values() if self._may_get(agent, one)]
        if self._mode == "round_robin":
            return min(takers, key=lambda agent: agent.turn, default=None)
        return min(takers, key=lambda agent: (agent.taken_count, agent.turn), default=None)

    def _may_get(self, agent: _Agent, one: Waiting) -> bool:
        round = self._rounds.get(one.chat_id)
        has_passed = round is not None and agent.presence.agent_id in round.passed
        return agent.is_of(one.team_id) and not has_passed

    # --- what follows -----------------------------------------------------------------------------

    def _offer(self, one: Waiting, agent: _Agent, now: float) -> Offer:
        agent_id = agent.presence.agent_id
        offer = Offer(one.chat_id, agent_id, one.team_id, now + self._offer_s)
        self._offers[one.chat_id] = offer
        self._turns += 1
        agent.turn = self._turns
        agent.offered[one.chat_id] = offer
        self._note_free(agent)
        return offer

    def _pass(self, offer: Offer) -> None:
        round = self._rounds.setdefault(offer.chat_id, _Round())
        round.passed.add(offer.agent_id)
        round.ends_at = None  # whoever passed while it was ending is to have their rest, too
        self._close(offer)

    def _close(self, offer: Offer) -> None:
        del self._offers[offer.chat_id]
        agent = self._agents[offer.agent_id]
        del agent.offered[offer.chat_id]
        self._note_free(agent)

    def _note_free(self, agent: _Agent) -> None:
        if agent.is_free:
            self._free[agent.presence.agent_id] = agent
        else:
            self._free.pop(agent.presence.agent_id, None)
