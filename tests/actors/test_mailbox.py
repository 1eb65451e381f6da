"""The mailbox against a simple model."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.actor import Letter
from actors.mailbox import Coalesce, DropOldest, Mailbox, Order, Overflow, Reject

Message = tuple[str, int]


def by_class(message: Message) -> Overflow:
    match message[0]:
        case "coalesce":
            return Coalesce(message[1] % 2)
        case "drop":
            return DropOldest()
        case _:
            return Reject()


messages = st.tuples(st.sampled_from(["keep", "drop", "coalesce"]), st.integers(0, 99))
actions = st.lists(messages | st.just("take") | st.just("ask"), max_size=60)


def unpack(item: Any) -> Any:
    return item.message if isinstance(item, Letter) else item


@given(actions, st.integers(1, 6))
def test_it_never_holds_more_than_its_limit_and_keeps_the_order(
    actions: list[Any], limit: int
) -> None:
    box = Mailbox(limit, by_class)
    model: list[Message] = []
    for action in actions:
        if action == "take":
            if model:
                assert unpack(box.take()) == model.pop(0)
            else:
                with pytest.raises(IndexError):
                    box.take()
        elif action == "ask":
            assert box.put(Letter(("keep", 0))) is (len(model) < limit)
            if len(model) < limit:
                model.append(("keep", 0))
        else:
            same = [
                place
                for place, waiting in enumerate(model)
                if waiting[0] == action[0] == "coalesce" and waiting[1] % 2 == action[1] % 2
            ]
            taken = box.put(action)
            if same:
                assert taken
                model[same[0]] = action
            else:
                assert taken is (len(model) < limit)
                if taken:
                    model.append(action)
                else:
                    drop_for(box, model, action)
        assert len(box) == len(model) <= limit
    assert [unpack(item) for item in box.drain()] == model


def drop_for(box: Mailbox, model: list[Message], message: Message) -> None:
    droppable = [waiting for waiting in model if waiting[0] == "drop"]
    dropped = box.make_room(message)
    if message[0] == "drop" and droppable:
        assert dropped == droppable[0]
        model.remove(droppable[0])
    else:
        assert dropped is None


def test_a_letter_of_a_droppable_class_makes_room_as_well() -> None:
    box = Mailbox(1, by_class)
    assert box.put(("drop", 1))
    assert box.make_room(Letter(("drop", 2))) == ("drop", 1)


def test_without_a_policy_nothing_is_dropped() -> None:
    box = Mailbox(1)
    assert box.put("a")
    assert box.make_room("b") is None
    assert Mailbox(1, by_class).make_room(("drop", 1)) is None


def test_letters_put_back_come_first_whatever_the_limit() -> None:
    box = Mailbox(2)
    box.put_back([])
    box.put("c")
    box.put("d")
    box.put_back([Letter("a"), Letter("b")])
    assert [unpack(item) for item in box.drain()] == ["a", "b", "c", "d"]
    box.queue = None
    box.put_back([Letter("e")])
    assert unpack(box.take()) == "e"


async def test_letters_somebody_waits_for_are_taken_out() -> None:
    box = Mailbox(9)
    asked = Letter("asked", 1.0, asyncio.get_running_loop().create_future())
    for item in ("a", asked, Letter("told"), "b"):
        box.put(item)
    assert box.take_asked() == [asked]
    assert [unpack(item) for item in box.drain()] == ["a", "told", "b"]


def test_an_order_is_queued_once() -> None:
    box = Mailbox(1)
    for order in (Order.PASSIVATE, Order.STOP, Order.PASSIVATE):
        box.order(order)
    assert box.take_order() is Order.PASSIVATE
    assert box.take_order() is Order.STOP
    assert not box.orders


async def test_senders_are_woken_in_turn_as_there_is_room() -> None:
    box = Mailbox(2)
    senders = [asyncio.get_running_loop().create_future() for _ in range(4)]
    box.wake_senders()
    for sender in senders:
        box.wait_for_room(sender)
    senders[0].cancel()
    box.put("a")
    box.wake_senders()
    assert [sender.done() for sender in senders] == [True, True, False, False]
    box.wake_senders(all=True)
    assert all(sender.done() for sender in senders)
