"""Who listens to what on this instance: the Publisher actors speak through."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from kefu.delivery import Origin
from kefu.gateway.outbox import Outgoing
from protocol.codes import CloseCode
from protocol.server import ToWorkbench


class Listener(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def topics(self) -> tuple[str, ...]: ...
    def deliver(self, outgoing: Outgoing) -> None:
        """Take the frame or give the client up; never wait, never raise."""
        ...

    def close(self, code: CloseCode) -> None:
        """Say goodbye as soon as what is queued has gone."""
        ...


class Hub:
    """`on_topic(topic, is_on)` hears of a topic's first listener and of its last one's leaving."""

    def __init__(self) -> None:
        self.on_topic: Callable[[str, bool], None] = lambda _topic, _is_on: None
        self._by_id: dict[str, Listener] = {}
        self._by_topic: dict[str, dict[str, Listener]] = {}
        self._extra: dict[str, set[str]] = {}
        """Topics that connections listen to beyond their own, by connection."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Listener]:
        return iter(tuple(self._by_id.values()))

    def count(self, topic: str) -> int:
        """How many connections listen to the topic."""
        return len(self._by_topic.get(topic, ()))

    def add(self, listener: Listener) -> None:
        self._by_id[listener.id] = listener
        for topic in listener.topics:
            self._join(listener, topic)

    def topics(self) -> tuple[str, ...]:
        """Every topic somebody listens to."""
        return tuple(self._by_topic)

    def _join(self, listener: Listener, topic: str) -> None:
        listeners = self._by_topic.get(topic)
        if listeners is None:
            listeners = self._by_topic[topic] = {}
            self.on_topic(topic, True)
        listeners[listener.id] = listener

    def remove(self, listener: Listener) -> None:
        self._by_id.pop(listener.id, None)
        for topic in (*listener.topics, *self._extra.pop(listener.id, ())):
            self._leave(listener, topic)

    def listen(self, listener: Listener, topic: str) -> None:
        """Have it hear one topic more, until `unlisten` or `remove`; nothing for who has gone."""
        if listener.id in self._by_id and topic not in listener.topics:
            self._join(listener, topic)
            self._extra.setdefault(listener.id, set()).add(topic)

    def unlisten(self, listener: Listener, topic: str) -> None:
        extra = self._extra.get(listener.id, set())
        if topic in extra:
            extra.remove(topic)
            if not extra:
                del self._extra[listener.id]
            self._leave(listener, topic)

    def _leave(self, listener: Listener, topic: str) -> None:
        listeners = self._by_topic.get(topic, {})
        listeners.pop(listener.id, None)
        if not listeners and self._by_topic.pop(topic, None) is not None:
            self.on_topic(topic, False)

    def publish(
        self, topics: tuple[str, ...], frame: ToWorkbench, *, skip: Origin | None = None
    ) -> None:
        outgoing = Outgoing(frame)
        skipped = skip.connection_id if skip is not None else None
        for listener in self._on(topics):
            if listener.id != skipped:
                listener.deliver(outgoing)

    def close(self, topic: str, code: CloseCode) -> None:
        """Send everybody on the topic away."""
        for listener in self._on((topic,)):
            listener.close(code)

    def reply(self, origin: Origin, frame: ToWorkbench) -> None:
        listener = self._by_id.get(origin.connection_id)
        if listener is not None:
            listener.deliver(Outgoing(frame))

    def _on(self, topics: tuple[str, ...]) -> Iterable[Listener]:
        """Each once. Most topics of a chat have nobody or one: nothing is merged for those."""
        found: dict[str, Listener] = {}
        for topic in topics:
            here = self._by_topic.get(topic)
            if here is not None:
                found = {**found, **here} if found else here
        return tuple(found.values())
