"""One audience on many instances: the Publisher that actors speak through.

Every instance tells the others which topics somebody listens to there, over links that keep the
order: whoever asks an actor something has told that actor's instance first where they listen. A
frame goes only where somebody listens. What a broken link loses is found again by its sequence
number; `missed` in cluster.py says when to look.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import msgspec

from kefu.cluster.envelopes import Close, Interest, Publish, Reply
from kefu.cluster.links import Links
from kefu.delivery import Origin
from protocol.codes import CloseCode
from protocol.server import ToWorkbench

SEPARATOR: Final = "/"
TOPICS_PER_ENVELOPE: Final = 1000
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ToWorkbench).decode
log = logging.getLogger("kefu.cluster")


class Audience(Protocol):
    """Who listens on this instance: the gateway's hub."""

    def publish(
        self, topics: tuple[str, ...], frame: ToWorkbench, *, skip: Origin | None = None
    ) -> None: ...

    def reply(self, origin: Origin, frame: ToWorkbench) -> None: ...

    def close(self, topic: str, code: CloseCode) -> None: ...

    def topics(self) -> Iterable[str]:
        """Every topic somebody listens to."""
        ...


class Bridge:
    """Connection ids begin with their instance's id, so that a reply finds the way."""

    def __init__(self, me: str, audience: Audience, links: Links) -> None:
        self._me = me
        self._audience = audience
        self._links = links
        self._topics_by_peer: dict[str, set[str]] = {}
        self._peers_by_topic: dict[str, dict[str, None]] = {}

    # --- the Publisher ----------------------------------------------------------------------------

    def publish(
        self, topics: tuple[str, ...], frame: ToWorkbench, *, skip: Origin | None = None
    ) -> None:
        self._audience.publish(topics, frame, skip=skip)
        if not self._peers_by_topic:
            return
        peers = {peer: None for topic in topics for peer in self._peers_by_topic.get(topic, ())}
        if peers:
            skipped = skip.connection_id if skip is not None else None
            envelope = Publish(topics, _encode(frame), skipped)
            for peer in peers:
                self._links.send(peer, envelope)

    def reply(self, origin: Origin, frame: ToWorkbench) -> None:
        instance = origin.connection_id.partition(SEPARATOR)[0]
        if instance == self._me:
            self._audience.reply(origin, frame)
        else:  # known or not: who has just woken may ask before it is a member again
            self._links.send(instance, Reply(origin.connection_id, _encode(frame)))

    def close(self, topic: str, code: CloseCode) -> None:
        """Send everybody on the topic away, wherever they are."""
        self._audience.close(topic, code)
        for peer in self._peers_by_topic.get(topic, ()):
            self._links.send(peer, Close(topic, int(code)))

    # --- who listens elsewhere --------------------------------------------------------------------

    def is_heard(self, topic: str) -> bool:
        """Whether anybody listens to the topic on another instance."""
        return topic in self._peers_by_topic

    def topics(self) -> Iterator[str]:
        """Every topic somebody listens to on another instance."""
        return iter(tuple(self._peers_by_topic))

    def listening(self, topic: str, *, is_on: bool) -> None:
        """The first listener of the topic came here, or the last one left."""
        names = (topic,)
        change = Interest(added=names) if is_on else Interest(removed=names)
        for peer in self._topics_by_peer:
            self._links.send(peer, change)

    def meet(self, peer: str) -> None:
        """An instance is there, anew or after a break: tell it everything."""
        self._topics_by_peer.setdefault(peer, set())
        topics = tuple(self._audience.topics())
        self._links.send(peer, Interest(added=topics[:TOPICS_PER_ENVELOPE], is_all=True))
        for start in range(TOPICS_PER_ENVELOPE, len(topics), TOPICS_PER_ENVELOPE):
            part = topics[start : start + TOPICS_PER_ENVELOPE]
            self._links.send(peer, Interest(added=part))

    def part(self, peer: str) -> None:
        """That instance is gone."""
        self._remove(peer, self._topics_by_peer.pop(peer, set()))

    # --- from other instances ---------------------------------------------------------------------

    def take(self, peer: str, envelope: Publish | Reply | Close | Interest) -> None:
        match envelope:
            case Interest():
                self._note(peer, envelope)
            case Close():
                self._close_here(envelope)
            case Publish(topics=topics, skip=skip):
                self._with_frame(
                    envelope.frame,
                    lambda frame: self._audience.publish(
                        topics, frame, skip=Origin(skip) if skip else None
                    ),
                )
            case Reply(connection_id=connection_id):
                self._with_frame(
                    envelope.frame, lambda frame: self._audience.reply(Origin(connection_id), frame)
                )

    def _close_here(self, envelope: Close) -> None:
        try:
            code = CloseCode(envelope.code)
        except ValueError:  # of a newer version
            log.warning("frame_unreadable")
            return
        self._audience.close(envelope.topic, code)

    def _with_frame(self, data: bytes, use: Callable[[ToWorkbench], None]) -> None:
        try:
            frame = _decode(data)
        except msgspec.MsgspecError:  # of a newer version; clients find the hole by its number
            log.warning("frame_unreadable")
            return
        use(frame)

    def _note(self, peer: str, interest: Interest) -> None:
        known = self._topics_by_peer.setdefault(peer, set())
        if interest.is_all:
            self._remove(peer, known - set(interest.added))
            known.clear()
        known.update(interest.added)
        for topic in interest.added:
            self._peers_by_topic.setdefault(topic, {})[peer] = None
        known.difference_update(interest.removed)
        self._remove(peer, interest.removed)

    def _remove(self, peer: str, topics: Iterable[str]) -> None:
        for topic in topics:
            peers = self._peers_by_topic.get(topic)
            if peers is not None:
                peers.pop(peer, None)
                if not peers:
                    del self._peers_by_topic[topic]
