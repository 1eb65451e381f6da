"""Who is offered which chat: nobody beyond their places, nobody twice at once, nobody forgotten."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.dispatch.assignment import Assignment, AutomaticMode, Offer
from kefu.dispatch.messages import AgentPresence, Waiting
from protocol.agent import AgentStatusName

OFFER_S = 30.0
SALES, RETURNS = UUID(int=51), UUID(int=52)
MODES: tuple[AutomaticMode, ...] = ("round_robin", "least_busy")


def agent_of(
    number: int,
    status: AgentStatusName = "online",
    *,
    active: int = 0,
    places: int = 5,
    teams: tuple[UUID, ...] = (),
) -> AgentPresence:
    return AgentPresence(UUID(int=1000 + number), "小可", status, active, places, team_ids=teams)


class Desk:
    """An assignment with the queue it is about, and what it offered."""

    def __init__(self, mode: AutomaticMode = "round_robin") -> None:
        self.assignment = Assignment(mode, OFFER_S)
        self.waiting: dict[UUID, Waiting] = {}
        self.agents: dict[UUID, tuple[AgentPresence, frozenset[UUID]]] = {}
        self.passed_at: dict[tuple[UUID, UUID], float] = {}
        self.now = 0.0

    def enqueue(self, number: int, *, team: UUID | None = None, vip: bool = False) -> None:
        chat_id = UUID(int=number)
        self.waiting.setdefault(
            chat_id, Waiting(chat_id, UUID(int=99), self.now, vip, team_id=team)
        )

    def dequeue(self, number: int) -> None:
        if self.waiting.pop(UUID(int=number), None) is not None:
            self.assignment.forget(UUID(int=number))
            for chat_id, agent_id in list(self.passed_at):
                if chat_id == UUID(int=number):
                    del self.passed_at[chat_id, agent_id]

    def note(self, agent: AgentPresence, reserved: frozenset[UUID] = frozenset()) -> None:
        self.agents[agent.agent_id] = agent, reserved
        self.assignment.note_agent(agent, reserved)

    def decline(self, offer: Offer) -> None:
        assert self.assignment.decline(offer.chat_id, offer.agent_id)
        self.passed_at[offer.chat_id, offer.agent_id] = self.now

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds
        for offer in self.open_offers:
            if offer.expires_at <= self.now:
                self.passed_at[offer.chat_id, offer.agent_id] = self.now
        self.assignment.elapse(self.now, self.waiting)

    def assign(self) -> list[tuple[int, int]]:
        """The new offers as (chat, agent)."""
        made = self.assignment.assign(self.waiting, self.now, self.now)
        for offer in made:
            passed_at = self.passed_at.get((offer.chat_id, offer.agent_id))
            assert passed_at is None or self.now >= passed_at + OFFER_S, "rung without rest"
        return [(offer.chat_id.int, offer.agent_id.int - 1000) for offer in made]

    @property
    def open_offers(self) -> list[Offer]:
        return [offer for id in self.agents for offer in self.assignment.offers_to(id)]

    def could_be_offered(self, one: Waiting, agent: AgentPresence, reserved: Any) -> bool:
        """By the words of the rule alone."""
        offered = {o.chat_id for o in self.open_offers if o.agent_id == agent.agent_id}
        return (
            agent.status == "online"
            and agent.active_count + len(reserved | offered) < agent.max_sessions
            and (one.team_id is None or one.team_id in agent.team_ids)
        )

    def check(self) -> None:
        offers = self.open_offers
        chats = [offer.chat_id for offer in offers]
        assert len(set(chats)) == len(chats), "a chat is on offer twice"
        assert set(chats) <= self.waiting.keys(), "a chat is on offer that does not wait"
        for offer in offers:
            agent, reserved = self.agents[offer.agent_id]
            assert agent.status == "online"
            team_id = self.waiting[offer.chat_id].team_id
            assert team_id is None or team_id in agent.team_ids
            held = {o.chat_id for o in offers if o.agent_id == agent.agent_id} | reserved
            assert agent.active_count + len(held) <= agent.max_sessions or held == reserved
        for one in self.waiting.values():
            for agent, reserved in self.agents.values():
                is_fresh = (one.chat_id, agent.agent_id) not in self.passed_at
                if one.chat_id not in chats and is_fresh:
                    assert not self.could_be_offered(one, agent, reserved), "stranded"
        assert self.assignment.stranded_count(self.waiting) == 0


CHAT, AGENT = st.integers(1, 8), st.integers(1, 4)
TEAM = st.sampled_from([None, None, SALES, RETURNS])
STEP = st.one_of(
    st.tuples(st.just("enqueue"), CHAT, TEAM, st.booleans()),
    st.tuples(st.just("dequeue"), CHAT),
    st.tuples(
        st.just("agent"),
        AGENT,
        st.sampled_from(["online", "online", "online", "busy", "offline"]),
        st.integers(0, 3),
        st.integers(1, 3),
        st.sets(st.sampled_from([SALES, RETURNS])),
        st.frozensets(CHAT, max_size=2),
    ),
    st.tuples(st.just("decline"), st.integers(0, 7)),
    st.tuples(st.just("time"), st.sampled_from([1.0, 5.0, 29.0, 30.0, 31.0])),
)


def perform(desk: Desk, step: tuple[Any, ...]) -> None:
    match step:
        case ("enqueue", number, team, vip):
            desk.enqueue(number, team=team, vip=vip)
        case ("dequeue", number):
            desk.dequeue(number)
        case ("agent", number, status, active, places, teams, asked):
            agent = agent_of(
                number, status, active=active, places=places, teams=tuple(sorted(teams))
            )
            desk.note(agent, frozenset(UUID(int=chat) for chat in asked))
        case ("decline", place) if desk.open_offers:
            desk.decline(desk.open_offers[place % len(desk.open_offers)])
        case ("time", seconds):
            desk.tick(seconds)


@settings(deadline=None, max_examples=300)
@given(mode=st.sampled_from(MODES), steps=st.lists(STEP, max_size=40))
def test_after_every_change_nobody_is_stranded_and_nobody_beyond_their_places(
    mode: AutomaticMode, steps: list[Any]
) -> None:
    desk = Desk(mode)
    for step in steps:
        perform(desk, step)
        desk.assign()
        desk.check()


@settings(deadline=None, max_examples=100)
@given(mode=st.sampled_from(MODES), steps=st.lists(STEP, max_size=30))
def test_whom_somebody_could_take_is_never_long_without_an_offer(
    mode: AutomaticMode, steps: list[Any]
) -> None:
    """Nobody ever answers: each round ends, and after its rest there is a new one."""
    desk = Desk(mode)
    for step in steps:
        perform(desk, step)
        desk.assign()
    for number in (1, 2):
        desk.note(agent_of(number, places=20, teams=(SALES, RETURNS)))
    unoffered_s = dict.fromkeys(desk.waiting, 0)
    for _ in range(6 * int(OFFER_S)):
        desk.tick()
        desk.assign()
        offered = {offer.chat_id for offer in desk.open_offers}
        for chat_id in desk.waiting:
            unoffered_s[chat_id] = 0 if chat_id in offered else unoffered_s[chat_id] + 1
            assert unoffered_s[chat_id] <= OFFER_S + 1


def test_the_queues_order_decides_who_is_offered_first() -> None:
    desk = Desk()
    desk.note(agent_of(1, places=2))
    for number, vip in ((1, False), (2, False), (3, True)):
        desk.enqueue(number, vip=vip)
        desk.now += 1
    assert desk.assign() == [(3, 1), (1, 1)]


def test_in_turn_everybody_gets_their_share() -> None:
    desk = Desk("round_robin")
    for number in (1, 2, 3):
        desk.note(agent_of(number, active=number))
    for number in range(1, 7):
        desk.enqueue(number)
    assert desk.assign() == [(1, 1), (2, 2), (3, 3), (4, 1), (5, 2), (6, 3)]


def test_the_least_busy_is_who_has_the_fewest_chats_and_offers() -> None:
    desk = Desk("least_busy")
    for number in (1, 2, 3):
        desk.note(agent_of(number, active=number, places=9))
    for number in range(1, 5):
        desk.enqueue(number)
    assert desk.assign() == [(1, 1), (2, 2), (3, 1), (4, 3)]


def test_who_passes_is_not_asked_again_before_everybody_was_and_a_rest_is_over() -> None:
    desk = Desk()
    desk.note(agent_of(1))
    desk.note(agent_of(2))
    desk.enqueue(1)
    assert desk.assign() == [(1, 1)]
    desk.decline(desk.open_offers[0])
    assert desk.assign() == [(1, 2)]
    desk.tick(OFFER_S - 0.1)
    assert desk.assign() == []
    desk.tick(0.1)  # it ran out
    assert desk.assign() == []
    desk.tick(OFFER_S - 0.1)
    assert desk.assign() == []
    desk.tick(0.1)
    assert desk.assign() == [(1, 1)]


def test_who_comes_while_a_round_rests_is_asked_at_once() -> None:
    desk = Desk()
    desk.note(agent_of(1))
    desk.enqueue(1)
    desk.assign()
    desk.decline(desk.open_offers[0])
    desk.tick()
    assert desk.assign() == []
    desk.note(agent_of(2))
    assert desk.assign() == [(1, 2)]


def test_who_passes_while_a_round_rests_has_their_rest_too() -> None:
    desk = Desk()
    desk.note(agent_of(1))
    desk.enqueue(1)
    desk.assign()
    desk.decline(desk.open_offers[0])
    desk.tick()
    desk.tick(OFFER_S - 2)
    desk.note(agent_of(2))
    assert desk.assign() == [(1, 2)]
    desk.decline(desk.open_offers[0])
    desk.tick(2)
    assert desk.assign() == []


def test_who_waits_anew_is_a_new_matter() -> None:
    desk = Desk()
    desk.note(agent_of(1))
    desk.enqueue(1)
    desk.assign()
    desk.decline(desk.open_offers[0])
    desk.dequeue(1)
    desk.tick()
    desk.enqueue(1)
    assert desk.assign() == [(1, 1)]


def test_a_round_ends_too_when_the_last_one_to_ask_goes_away() -> None:
    desk = Desk()
    desk.note(agent_of(1))
    desk.note(agent_of(2))
    desk.enqueue(1)
    desk.assign()
    desk.decline(desk.open_offers[0])
    assert desk.assign() == [(1, 2)]
    desk.note(agent_of(2, "lunch"))
    desk.tick()
    assert desk.assign() == []
    desk.tick(OFFER_S)
    assert desk.assign() == [(1, 1)]


def test_only_what_is_on_offer_to_them_can_be_declined() -> None:
    desk = Desk()
    desk.note(agent_of(1))
    desk.note(agent_of(2))
    desk.enqueue(1)
    desk.assign()
    assert not desk.assignment.decline(UUID(int=1), UUID(int=1002))
    assert not desk.assignment.decline(UUID(int=2), UUID(int=1001))
    assert desk.assignment.decline(UUID(int=1), UUID(int=1001))
    assert not desk.assignment.decline(UUID(int=1), UUID(int=1001))


@pytest.mark.parametrize("status", ["busy", "break", "lunch", "training", "offline"])
def test_who_is_not_online_gets_nothing_and_loses_what_was_on_offer(
    status: AgentStatusName,
) -> None:
    desk = Desk()
    desk.note(agent_of(1))
    desk.enqueue(1)
    assert desk.assign() == [(1, 1)]
    desk.note(agent_of(1, status))
    assert desk.open_offers == desk.assign() == []
    desk.note(agent_of(1))
    assert desk.assign() == [(1, 1)], "going away is no answer"


def test_a_place_taken_otherwise_takes_back_the_latest_offer() -> None:
    desk = Desk()
    desk.note(agent_of(1, places=2))
    desk.enqueue(1)
    desk.assign()
    desk.now += 5
    desk.enqueue(2)
    desk.assign()
    desk.note(agent_of(1, active=1, places=2))
    assert [offer.chat_id.int for offer in desk.open_offers] == [1]


def test_reaching_for_what_is_on_offer_takes_no_second_place() -> None:
    desk = Desk()
    desk.note(agent_of(1, places=1))
    desk.enqueue(1)
    desk.assign()
    desk.note(agent_of(1, places=1), frozenset({UUID(int=1)}))
    assert [offer.chat_id.int for offer in desk.open_offers] == [1]
    desk.dequeue(1)
    desk.enqueue(2)
    assert desk.assign() == [], "the place is held until the answer is there"
    desk.note(agent_of(1, places=1))
    assert desk.assign() == [(2, 1)]
    desk.note(agent_of(1, places=2), frozenset({UUID(int=2)}))
    desk.enqueue(3)
    assert desk.assign() == [(3, 1)], "the other place is free"


def test_a_teams_chat_is_offered_to_its_members_alone() -> None:
    desk = Desk()
    desk.note(agent_of(1, teams=(RETURNS,)))
    desk.enqueue(1, team=SALES)
    assert desk.assign() == []
    desk.note(agent_of(2, teams=(RETURNS, SALES)))
    assert desk.assign() == [(1, 2)]
    desk.note(agent_of(2, teams=(RETURNS,)))
    assert desk.open_offers == desk.assign() == []


def test_a_stranded_chat_is_counted() -> None:
    desk = Desk()
    desk.enqueue(1)
    desk.enqueue(2, team=SALES)
    assert desk.assignment.stranded_count(desk.waiting) == 0
    desk.note(agent_of(1))
    assert desk.assignment.stranded_count(desk.waiting) == 1
    desk.assign()
    assert desk.assignment.stranded_count(desk.waiting) == 0
