"""Who appears in the tests of chats, and the commands they give."""

from uuid import UUID

from kefu.bot.messages import Outcome
from kefu.conversations.chat import Chat
from kefu.conversations.commands import (
    Accept,
    AddNote,
    AnswerCustomer,
    AskAfterHours,
    AskAssist,
    CallHuman,
    Command,
    End,
    EndSilent,
    GiveUpWaiting,
    LeaveEmail,
    Notice,
    Open,
    ProductCard,
    Rate,
    Refusal,
    Release,
    Requeue,
    ReturnToBot,
    ReturnToQueue,
    Speak,
    TakeOver,
    Transfer,
    Unwatch,
    Watch,
    Whisper,
)
from kefu.conversations.events import Event
from kefu.conversations.parties import BOT, SYSTEM, AgentSeat, Customer, Party
from kefu.conversations.state import decide, evolve

CUSTOMER = Customer(UUID(int=1), "c-1", "王小明")
OWNER = Party("customer", CUSTOMER.id, CUSTOMER.name)
STRANGER = Party("customer", UUID(int=2), "路人")
KE = Party("agent", UUID(int=11), "小可")
FU = Party("agent", UUID(int=12), "小服")
MIN = Party("agent", UUID(int=13), "小敏")
SUPERVISOR = Party("agent", UUID(int=14), "主管", is_supervisor=True)
AGENTS = (KE, FU, MIN)
EVERYBODY = (OWNER, STRANGER, *AGENTS, SUPERVISOR, BOT, SYSTEM)
NOON = 1_795_000_000.0
NOTICE = Notice(UUID(int=700), "请稍候")


def seat(agent: Party) -> AgentSeat:
    assert agent.id is not None
    return AgentSeat(agent.id, agent.name or "")


def opening(*, chat_id: int = 100, wants_human: bool = False, is_bot_ready: bool = True) -> Open:
    return Open(UUID(int=chat_id), CUSTOMER, NOON, wants_human, is_bot_ready)


def say(by: Party, content: str = "在吗", *, is_bot_ready: bool = True) -> Speak:
    return Speak(UUID(int=500), by, content, NOON, is_bot_ready)


def answer(answers_seq: int, *, is_failure: bool = False, card_count: int = 0) -> AnswerCustomer:
    """By the bot, to all that was said up to there."""
    cards = tuple(ProductCard(UUID(int=610 + n), UUID(int=620 + n)) for n in range(card_count))
    outcome: Outcome = "failed" if is_failure else "answered"
    return AnswerCustomer(
        BOT,
        UUID(int=600),
        answers_seq,
        "有的",
        outcome,
        is_failure,
        NOON,
        is_apology=is_failure,
        cards=cards,
    )


def ask_after_hours(by: Party = OWNER, reason: str = "manual") -> AskAfterHours:
    return AskAfterHours(by, NOON, reason, "high", NOTICE)


def leave_email(email: str = "wang@example.com") -> LeaveEmail:
    return LeaveEmail(OWNER, email, NOON, NOTICE)


def give_up_waiting(since: float = NOON) -> GiveUpWaiting:
    return GiveUpWaiting(since, NOON, NOTICE)


def return_to_queue(agent: Party) -> ReturnToQueue:
    assert agent.id is not None
    return ReturnToQueue(agent.id, NOON, "agent_gone", NOTICE)


def accept(agent: Party) -> Accept:
    return Accept(seat(agent), NOON)


def take_over(by: Party, agent: Party | None = None) -> TakeOver:
    return TakeOver(seat(agent or by), by, NOON)


def call_human(by: Party = OWNER) -> CallHuman:
    return CallHuman(by, NOON, "manual")


def return_to_bot(by: Party = OWNER) -> ReturnToBot:
    return ReturnToBot(by, NOON)


def transfer(by: Party, to_agent: Party) -> Transfer:
    return Transfer(by, seat(to_agent), NOON)


def requeue(by: Party, team_id: UUID | None = None) -> Requeue:
    return Requeue(by, NOON, team_id=team_id)


def release(by: Party) -> Release:
    return Release(by, NOON, UUID(int=600), "再见")


def end(by: Party = OWNER) -> End:
    return End(by, NOON)


def rate(by: Party = OWNER, rating: int = 5) -> Rate:
    return Rate(by, rating, NOON)


def add_note(by: Party) -> AddNote:
    return AddNote(by, "老客户", NOON)


def whisper(by: Party) -> Whisper:
    return Whisper(by, "先道歉", NOON)


def ask_assist(by: Party, colleague: Party = MIN) -> AskAssist:
    assert colleague.id is not None
    return AskAssist(by, colleague.id, "能退吗", NOON)


def watch(by: Party) -> Watch:
    return Watch(by, NOON)


def unwatch(by: Party) -> Unwatch:
    return Unwatch(by, NOON)


def end_silent(chat: Chat) -> EndSilent:
    """As the chat stands now."""
    return EndSilent(chat.seq, chat.log_id, NOON)


def after(*commands: Command) -> Chat:
    """The chat after these commands, none of which may be refused."""
    chat: Chat | None = None
    for command in commands:
        for event in events_of(chat, command):
            chat = evolve(chat, event)
    assert chat is not None
    return chat


def events_of(chat: Chat | None, command: Command) -> tuple[Event, ...]:
    decided = decide(chat, command)
    assert not isinstance(decided, Refusal), decided
    return decided


def refusal_of(chat: Chat | None, command: Command) -> Refusal:
    decided = decide(chat, command)
    assert isinstance(decided, Refusal), decided
    return decided
