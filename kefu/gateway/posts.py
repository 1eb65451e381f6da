"""Frames without a WebSocket, from the client to kefu: a POST of one frame or of some.

Each POST is a connection of its own for as long as it takes, one that listens to nothing: what it
hears are the answers to its frames, and it answers with those.
"""

import asyncio
from typing import Any, Final

import anyio
import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from actors import ActorError
from kefu.agents.tokens import AgentIdentity
from kefu.bodies import BODY_TIMEOUT_S, answer
from kefu.dispatch import messages as dispatch
from kefu.errors import Problem
from kefu.gateway.connection import Connection
from kefu.gateway.door import Door, Visitor
from kefu.gateway.limits import (
    ANSWER_BYTES,
    ASK_WITHIN_S,
    POST_BYTES,
    POST_FRAMES,
    FrameRate,
    FrameRates,
)
from kefu.gateway.outbox import Outgoing, Wire
from kefu.gateway.ports import Backstage
from kefu.storage.errors import StoreUnavailable
from protocol.agent import DeclineOffer, SubscribeQueue
from protocol.codes import ERRORS, ErrorCode
from protocol.customer import EndChat, MarkRead, SendMessage, Typing
from protocol.limits import FRAME_BYTES
from protocol.server import Error, Fault
from protocol.wire import UNREADABLE, Rejection

# Where agents may leave out which chat they mean, while there is but one.
ABOUT_A_CHAT: Final = (SendMessage, Typing, MarkRead, EndChat)
TO_THE_QUEUE: Final = (SubscribeQueue, DeclineOffer)
NO_FRAMES: Final = "The body is a frame, or a list of frames, in JSON."
TOO_MANY: Final = f"A request holds at most {POST_FRAMES} frames."
RETRY_AFTER_S: Final = 1.0


class Posts:
    """The endpoint. How fast a person may send holds over all of their requests."""

    def __init__(self, backstage: Backstage, door: Door) -> None:
        self._backstage = backstage
        self._door = door
        self._rates = FrameRates(backstage.frame_rate, backstage.frame_burst)

    async def take(self, request: Request) -> Response:
        """Raises Problem or StoreUnavailable; what is wrong with a frame stands in the answer."""
        visitor = await self._door.admit(request.scope, self._backstage.hub, stays=False)
        texts = await _read_texts(request)
        post = _Post(visitor, self._backstage, self._door, self._rate(visitor, request))
        try:
            await post.take_all(texts)
        finally:
            post.connection.leave()
        return answer({"frames": [msgspec.Raw(each.encode()) for each in post.answers]})

    def _rate(self, visitor: Visitor, request: Request) -> FrameRate:
        """Guests without a token are new each time: they share what their address may send."""
        person = visitor.person
        if visitor.guest_token is not None:
            person = f"guest {request.client.host if request.client is not None else ''}"
        return self._rates.of(person, self._backstage.clock.monotonic())


class _Post:
    """One request. Its frames are numbered, so that each answer is known for what it is."""

    def __init__(self, visitor: Visitor, backstage: Backstage, door: Door, rate: FrameRate) -> None:
        self.answers: list[str] = []
        self._backstage = backstage
        self._identity = visitor.identity
        self._ids: list[str | None] = []
        """The client's own ids for its frames."""
        self._open: set[int] = set()
        """The frames that are not done with, or not answered."""
        self._answered = asyncio.Event()
        self._bytes = 0
        self.connection = Connection(
            backstage.connection_id(),
            visitor.role(backstage, is_workbench=True),
            backstage,
            _never,
            write_now=self._keep,
            encode=self._word,
            is_agents=visitor.is_agent,
            # a new guest hears of their chat, and so by which token they can come back to it
            topics=() if visitor.guest_token is None else None,
            rate=rate,
        )

    async def take_all(self, texts: list[str]) -> None:
        """All in their order; return when each is answered, with an error where that took long."""
        self.connection.visit()
        frames = [self._read(number, text) for number, text in enumerate(texts)]
        self._open.update(range(len(frames)))
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                for number, frame in enumerate(frames):
                    await self._take(number, frame)
                await self._all_answered(
                    {number for number in self._open if isinstance(frames[number], SendMessage)}
                )
        except TimeoutError:
            pass
        for number in sorted(self._open):
            self._refuse(number)

    def _read(self, number: int, text: str) -> Any:
        """The frame, or a Rejection, under its number."""
        frame = self.connection.role.read(text)
        if isinstance(frame, Rejection):
            self._ids.append(frame.frame_id)
            return frame._replace(frame_id=str(number))
        self._ids.append(frame.id)
        return replace(frame, id=str(number))

    async def _take(self, number: int, frame: Any) -> None:
        """Do what the frame says. A message's receipt is not waited for: the next may go along."""
        if self._bytes > ANSWER_BYTES:
            return  # refused in the end
        try:
            self.connection.take(await self._with_chat(frame))
            await self.connection.settled()
            if isinstance(frame, TO_THE_QUEUE):  # behind it in the mailbox: then it is done
                queue = self._backstage.ref(dispatch.KIND, dispatch.MAIN)
                await self.connection.ask(queue, dispatch.ListPresence())
        except (ActorError, StoreUnavailable):
            return
        if not isinstance(frame, SendMessage):
            self._open.discard(number)

    async def _with_chat(self, frame: Any) -> Any:
        """The frame of an agent who means their only chat: no connection of theirs is asked."""
        is_vague = isinstance(frame, ABOUT_A_CHAT) and frame.payload.chat_id is None
        if not is_vague or not isinstance(self._identity, AgentIdentity):
            return frame
        chats = await self._backstage.chats.active(self._identity.agent_id)
        if len(chats) != 1:
            return frame
        return replace(frame, payload=replace(frame.payload, chat_id=next(iter(chats))))

    async def _all_answered(self, numbers: set[int]) -> None:
        while numbers & self._open:
            self._answered.clear()
            await self._answered.wait()

    def _word(self, outgoing: Outgoing) -> Wire:
        """The frame under the client's own id for what it answers."""
        number = outgoing.frame.reply_to
        if number is None:
            return outgoing.json()
        self._open.discard(int(number))
        self._answered.set()
        return outgoing.with_reply_to(self._ids[int(number)]).json()

    def _keep(self, wire: Wire) -> bool:
        assert isinstance(wire, str)
        self.answers.append(wire)
        self._bytes += len(wire)
        return True

    def _refuse(self, number: int) -> None:
        """It may have taken effect or not: the client is to ask again."""
        code = ErrorCode.OVERLOADED
        self._backstage.metrics.errors.labels(code).inc()
        fault = Fault(code, ERRORS[code].sentence, retry_after_s=RETRY_AFTER_S)
        error = Error(fault, self._backstage.clock.now(), str(number))
        self._keep(self._word(Outgoing(error)))


async def _never(_wire: Wire) -> None:
    raise AssertionError("everything is kept at once")


async def _read_texts(request: Request) -> list[str]:
    """The frames as they came. Raises Problem: TOO_LARGE or INVALID_MESSAGE."""
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            body = await request.body()
    except TimeoutError:
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body took too long to arrive.") from None
    if len(body) > POST_BYTES:
        raise Problem(ErrorCode.TOO_LARGE)
    try:
        texts = _texts(body.decode())
    except UNREADABLE:
        raise Problem(ErrorCode.INVALID_MESSAGE, NO_FRAMES) from None
    if len(texts) > POST_FRAMES:
        raise Problem(ErrorCode.TOO_LARGE, TOO_MANY)
    if any(len(text.encode()) > FRAME_BYTES for text in texts):
        raise Problem(ErrorCode.TOO_LARGE)
    return texts


def _texts(body: str) -> list[str]:
    if body.lstrip(" \t\r\n").startswith("["):
        return [bytes(raw).decode() for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    msgspec.json.decode(body, type=dict[str, msgspec.Raw])  # an object at least
    return [body]
