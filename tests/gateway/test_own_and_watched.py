"""Chats that are a supervisor's own, or were, and that they watch."""

from tests.gateway.office import ME, OTHER, WATCHED, Office, code, shown
from tests.gateway.stage import CHAT, passes, simulated


def test_a_chat_that_is_only_watched_is_never_meant() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        peer.say("send_message", {"content": "?"})
        await passes(1)
        assert code(peer) == "CHAT_ID_REQUIRED"
        (connection,) = office.hub
        office.hub.publish(connection.topics[:1], office.of(OTHER, agent=ME))
        peer.say("send_message", {"content": "您好"})
        await passes(1)
        assert office.told[-1].chat_id == OTHER
        await peer.leave()

    simulated(story)


def test_a_watched_chat_that_is_taken_over_is_an_own_one() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        (connection,) = office.hub
        office.hub.publish((connection.topics[0], WATCHED), office.of(CHAT, agent=ME))
        peer.say("send_message", {"content": "我来"})
        await passes(1)
        assert office.told[-1].chat_id == CHAT
        assert shown(peer) == ["chat_watch", "chat_status", "chat_status"]
        peer.say("unwatch_chat", {"chat_id": str(CHAT)})
        await passes(1)
        office.hub.publish((connection.topics[0], WATCHED), office.chats.speak())
        await passes(1)
        assert shown(peer)[-1] == "new_message", "it stays with who is in charge of it"
        office.hub.publish(connection.topics[:1], office.of(CHAT, "ended", ME))
        peer.say("send_message", {"content": "?"})
        await passes(1)
        assert code(peer) == "CHAT_ID_REQUIRED"
        await peer.leave()

    simulated(story)


def test_a_chat_given_away_is_still_watched() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.watching()
        (connection,) = office.hub
        office.hub.publish((connection.topics[0], WATCHED), office.of(CHAT, agent=ME))
        office.hub.publish((connection.topics[0], WATCHED), office.of(CHAT, agent=None))
        office.publish_watched(office.chats.speak())
        await passes(1)
        assert shown(peer)[-1] == "new_message"
        await peer.leave()

    simulated(story)


def test_what_an_own_chat_still_holds_back_goes_out_before_its_watch_begins() -> None:
    """Or its last status, an old one, would be taken for the first of the watch."""

    async def story() -> None:
        office = Office()
        peer = await office.at_work()
        (connection,) = office.hub
        own = connection.topics[:1]
        office.hub.publish(own, office.of(CHAT, agent=ME))
        office.chats.delay_s = 1.0
        office.gate.clear()
        peer.say("watch_chat", {"chat_id": str(CHAT)})
        await passes(1)
        office.chats.speak()  # which nobody told
        office.hub.publish(own, office.of(CHAT, "bot"))
        office.chats.speak()
        office.gate.set()
        await passes(5)
        told = [(f["type"], f["payload"].get("last_seq")) for f in peer.frames[1:]]
        assert told == [
            ("new_message", None),
            ("chat_status", 1),
            ("chat_watch", None),
            ("chat_status", 2),
        ]
        await peer.leave()

    simulated(story)


def test_a_chat_that_comes_back_while_its_watch_is_being_ended_comes_anew() -> None:
    """What was said in between was not for this client, who must know that it was not."""

    async def story() -> None:
        office = Office()
        peer = await office.watching()
        office.gate.clear()
        peer.say("unwatch_chat", {"chat_id": str(CHAT)}, id="u")
        await passes(1)
        office.publish_watched(office.chats.speak())
        (connection,) = office.hub
        office.hub.publish(connection.topics[:1], office.of(CHAT, agent=ME))
        office.hub.publish(connection.topics[:1], office.chats.speak())
        office.gate.set()
        await passes(1)
        told = [(f["type"], f["payload"].get("is_watching")) for f in peer.frames[2:]]
        assert told == [("chat_watch", False), ("chat_status", None), ("new_message", None)]
        assert peer.frames[-1]["payload"]["seq"] == 2
        await peer.leave()

    simulated(story)
