"""Mistakes that only several instances show, or that must be found among several as well."""

from collections.abc import Sequence
from typing import Any, Final
from unittest.mock import patch

from kefu.agents.actor import AgentActor
from kefu.cluster import store
from kefu.cluster.asking import Asking
from kefu.cluster.link import Arrival, Receiver
from kefu.cluster.slots import Slots
from kefu.conversations import state as chats
from kefu.conversations.actor import ConversationActor
from kefu.conversations.turn import Turn
from kefu.gateway.chat_view import ChatView
from kefu.gateway.heads import Heads
from tests.simulation import statements
from tests.simulation.bugs import BUGS, Bug, Patch, bug
from tests.simulation.tables import Row, Tables


def no_fencing() -> list[Patch]:
    return [patch.object(Tables, "has_fence", False)]


def claim_skipped() -> list[Patch]:
    """Whoever takes a slot in Redis writes under the epoch that it finds."""

    def look(tables: Tables, args: Sequence[Any]) -> list[Row]:
        slots, _instance = args
        return [Row({"slot": slot, "epoch": tables.epochs[slot]}) for slot in slots]

    return [patch.dict(statements.STATEMENTS, {store.CLAIM: look})]


def epoch_read_late() -> list[Patch]:
    """What lives in a slot is read as soon as Redis says whose it is, before the epoch is raised;
    the epoch is looked up when something is written. The rows' unique numbers would still hold an
    earlier owner's last write against it, so they are gone, too."""

    def is_mine(slots: Slots, slot: int) -> bool:
        return slots._owners.get(slot) == slots.me and slot not in slots._leaving

    def owner(slots: Slots, slot: int) -> str | None:
        found = slots._owners.get(slot)
        is_living = found in slots._members and found not in slots._gone
        return found if is_living and slot not in slots._leaving else None

    def epoch_of(slots: Slots, slot: int) -> int:
        return slots._epochs.get(slot, 0)

    def ignore(_actor: Any, _epoch: int) -> None:
        return

    late = property(lambda actor: actor._world.epoch_of(actor._slot), ignore)
    return [
        patch.object(Tables, "has_number_index", False),
        patch.object(Slots, "is_mine", is_mine),
        patch.object(Slots, "owner", owner),
        patch.object(Slots, "epoch_of", epoch_of),
        patch.object(AgentActor, "_epoch", late, create=True),
        patch.object(ConversationActor, "_epoch", late, create=True),
    ]


def guards_dropped() -> list[Patch]:
    """An agent's places are counted where the agent lives, and nobody holds the commit to that."""
    take = Turn.take

    def careless(turn: Any, step: Any, **_guard: Any) -> None:
        take(turn, step)

    return [patch.object(Turn, "take", careless)]


def tail_lost() -> list[Patch]:
    """What Redis forgets is looked up only when something newer shows the hole."""

    async def look_away(_heads: Heads, *, is_after_loss: bool = True) -> None:
        return

    return [patch.object(Heads, "look", look_away)]


def publish_without_gap_fill() -> list[Patch]:
    """Whatever comes is shown, and what did not come is never missed."""
    admit = ChatView._admit

    def careless(view: Any, held: Any) -> Any:
        if not view._is_holding:
            view.head = max(view.head, held.needs)
        return admit(view, held)

    return [patch.object(ChatView, "_admit", careless), *tail_lost()]


def link_resend_without_dedupe() -> list[Patch]:
    arrive = Receiver.arrive

    def again(receiver: Receiver, life: int, number: int) -> Arrival:
        found = arrive(receiver, life, number)
        return Arrival.TAKE if found is Arrival.AGAIN else found

    return [patch.object(Receiver, "arrive", again)]


def turned_away_out_of_order() -> list[Patch]:
    """What is new does not wait for what an earlier owner turned away."""

    def is_clear(_asking: Asking, _slot: int, owner: str | None) -> bool:
        return owner is not None

    return [
        patch.object(Asking, "is_busy", lambda _asking, _slot: False),
        patch.object(Asking, "is_clear", is_clear),
    ]


def drop_oldest_without_marker() -> list[Patch]:
    """A link skips what is missing instead of asking for it."""
    arrive = Receiver.arrive

    def skip(receiver: Receiver, life: int, number: int) -> Arrival:
        if receiver.life == life and number > receiver.number:
            receiver.number = number - 1
        return arrive(receiver, life, number)

    return [patch.object(Receiver, "arrive", skip)]


def transfer_double_post() -> list[Patch]:
    """Whoever passed the chat on may still speak in it."""
    speak, transfer = chats._speak, chats._transfer
    before: dict[Any, Any] = {}

    def remember(chat: Any, command: Any) -> Any:
        before[chat.chat_id] = chat.agent
        return transfer(chat, command)

    def lenient(chat: Any, command: Any) -> Any:
        earlier = before.get(chat.chat_id)
        if chat.agent is not None and earlier is not None and earlier.id == command.by.id:
            chat = chats.replace(chat, agent=earlier)
        return speak(chat, command)

    return [patch.object(chats, "_transfer", remember), patch.object(chats, "_speak", lenient)]


SHARED: Final = (
    "ack-before-commit",
    "lost-reply-taken-for-a-commit",
    "dedupe-only-in-memory",
    "resume-off-by-one",
    "capacity-check-then-act",
    "fan-out-by-a-short-key",
    "accept-of-what-is-taken",
)
CLUSTER_BUGS: Final[dict[str, Bug]] = {
    **{name: BUGS[name] for name in SHARED},
    **dict(
        (
            bug(no_fencing, "I5"),
            bug(claim_skipped, "I5"),
            bug(epoch_read_late, "I3", "I5", "I6", "I7", "I10", "I16"),
            bug(guards_dropped, "I10"),
            bug(tail_lost, "I9"),
            bug(publish_without_gap_fill, "I14"),
            bug(link_resend_without_dedupe, "I2", "I9", "I13", "I14"),
            bug(turned_away_out_of_order, "I3"),
            bug(drop_oldest_without_marker, "I3", "I9", "I12"),
            bug(transfer_double_post, "I16"),
        )
    ),
}
ALL_BUGS: Final = BUGS | CLUSTER_BUGS
