"""Tells the team's groups through their robots. Whoever tells never waits and never fails for it.

A robot takes few messages a minute: the first is sent at once, and what comes while it may not
speak is sent together, as one. Each robot has a queue of its own, so that one that hangs holds up
no other. Addresses and secrets never reach a log.
"""

import logging
from collections import deque
from typing import Final, assert_never

import anyio
import httpx
from msgspec import Struct

from kefu.clock import Clock
from kefu.notifications.options import RobotOptions
from kefu.notifications.robot_wire import Call, RobotKind, Verdict, call, verdict
from kefu.notifications.texts import Words
from kefu.secret import Secret

EVERY_S: Final = 3.1  # never more than 20 in any minute
BUSY_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 600.0
TRIES: Final = 4
CALL_WITHIN_S: Final = 10.0
ANSWER_BYTES: Final = 64 * 1024
QUEUED: Final = 100
DIGEST_LINES: Final = 50
log = logging.getLogger("kefu.notifications")


class Target(Struct, frozen=True):
    kind: RobotKind
    url: Secret
    secret: Secret | None = None


def targets(options: RobotOptions) -> tuple[Target, ...]:
    """The robots that the settings name."""
    named: tuple[tuple[RobotKind, Secret | None, Secret | None], ...] = (
        ("wecom", options.wecom_webhook_url, None),
        ("dingtalk", options.dingtalk_webhook_url, options.dingtalk_secret),
        ("feishu", options.feishu_webhook_url, options.feishu_secret),
        ("slack", options.slack_webhook_url, None),
    )
    return tuple(Target(kind, url, secret) for kind, url, secret in named if url is not None)


class Robots:
    """Start `run()` in a task of its own."""

    def __init__(
        self, http: httpx.AsyncClient, clock: Clock, options: RobotOptions, words: Words
    ) -> None:
        self._robots = tuple(Robot(http, clock, each, words) for each in targets(options))

    def tell(self, text: str) -> None:
        """Say it to every group, soon."""
        for robot in self._robots:
            robot.tell(text)

    async def run(self) -> None:
        """Speak for ever; not at all when there are no robots."""
        async with anyio.create_task_group() as tasks:
            for robot in self._robots:
                tasks.start_soon(robot.run)


class Robot:
    """One group's robot. What is still untold when the queue is full is dropped, oldest first."""

    def __init__(self, http: httpx.AsyncClient, clock: Clock, target: Target, words: Words) -> None:
        self._http = http
        self._clock = clock
        self._target = target
        self._words = words
        self._queue: deque[str] = deque(maxlen=QUEUED)
        self._tries = 0
        self._quiet_until = clock.monotonic()
        self._something = anyio.Event()

    def tell(self, text: str) -> None:
        self._queue.append(text)
        self._something.set()

    async def run(self) -> None:
        while True:
            self._something = anyio.Event()
            if not self._queue:
                await self._something.wait()
            await anyio.sleep(max(0.0, self._quiet_until - self._clock.monotonic()))
            try:
                await self.speak()
            except Exception:
                log.exception("robot_failed", extra={"robot": self._target.kind})
                self._pause(BUSY_PAUSE_S)

    async def speak(self) -> None:
        """Tell all that is queued as one message, unless it is too soon to speak."""
        if not self._queue or self._clock.monotonic() < self._quiet_until:
            return
        lines = tuple(self._queue)
        self._queue.clear()
        self._tries += 1
        said, pause_s = await self._call(self._text(lines))
        told = {"robot": self._target.kind, "answer_code": said.code, "tries": self._tries}
        match said.answered:
            case "ok":
                log.info("robot_told", extra={**told, "count": len(lines)})
            case "later" if self._tries < TRIES:
                log.warning("robot_busy", extra=told)
                self._queue = deque((*lines, *self._queue), maxlen=QUEUED)
                self._pause(pause_s)
                return
            case "later" | "refused" | "unknown":
                log.error("robot_untold", extra={**told, "answered": said.answered})
            case _:
                assert_never(said.answered)
        self._tries = 0
        self._pause(EVERY_S if said.answered == "ok" else pause_s)

    def _pause(self, seconds: float) -> None:
        self._quiet_until = self._clock.monotonic() + seconds

    def _text(self, lines: tuple[str, ...]) -> str:
        if len(lines) == 1:
            return lines[0]
        head = self._words.digest.format(count=len(lines))
        return "\n".join([head, *lines[-DIGEST_LINES:]])

    async def _call(self, text: str) -> tuple[Verdict, float]:
        """The answer, and how long to be silent when it was no good one."""
        secret = self._target.secret
        asked = call(
            self._target.kind,
            self._target.url.reveal(),
            None if secret is None else secret.reveal(),
            text,
            self._clock.now().timestamp(),
        )
        try:
            with anyio.fail_after(CALL_WITHIN_S):
                return await self._post(asked)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return Verdict("later"), BUSY_PAUSE_S
        except (httpx.HTTPError, TimeoutError):  # saying it twice is worse than once too little
            return Verdict("unknown"), BUSY_PAUSE_S

    async def _post(self, asked: Call) -> tuple[Verdict, float]:
        http = self._http
        async with http.stream(
            "POST", asked.url, json=asked.body, follow_redirects=False
        ) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    return Verdict("refused", response.status_code), BUSY_PAUSE_S
            said = verdict(self._target.kind, response.status_code, bytes(body))
            return said, _pause_s(response.headers.get("retry-after"))


def _pause_s(retry_after: str | None) -> float:
    if retry_after is not None and retry_after.isascii() and retry_after.isdecimal():
        return min(float(retry_after[:6]), LONGEST_PAUSE_S)
    return BUSY_PAUSE_S
