"""Robots on a clock by hand: how often they speak, what they do when refused, what never leaks."""

import logging
from collections import Counter
from typing import cast

import anyio
import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from kefu.logs import JsonFormatter
from kefu.notifications.options import RobotOptions
from kefu.notifications.robot_wire import RobotKind
from kefu.notifications.robots import QUEUED, TRIES, Robot, Robots, targets
from kefu.notifications.texts import WORDS
from tests.fakes.clock import HandClock
from tests.notifications.robot_town import KEY, OPTIONS, SIGNING, RobotTown, only
from tests.until import until

ZH = WORDS["zh-CN"]
KINDS = ("wecom", "dingtalk", "feishu", "slack")


@pytest.fixture
def town() -> RobotTown:
    return RobotTown(HandClock())


def robot_of(town: RobotTown, kind: str, http: httpx.AsyncClient | None = None) -> Robot:
    (target,) = targets(only(kind))
    return Robot(http or town.http(), town.clock, target, ZH)


async def test_every_group_reads_what_is_told(town: RobotTown) -> None:
    robots = Robots(town.http(), town.clock, OPTIONS, ZH)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(robots.run)
        robots.tell("【告警】有人在等")
        await until(lambda: len(town.said) == 4)
        tasks.cancel_scope.cancel()
    assert set(town.said) == set(KINDS)
    assert all("【告警】有人在等" in said for (said,) in town.said.values())


async def test_without_robots_nothing_runs() -> None:
    clock = HandClock()
    robots = Robots(httpx.AsyncClient(), clock, RobotOptions(), ZH)
    robots.tell("anybody?")
    with anyio.fail_after(5):
        await robots.run()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_comes_too_fast_is_told_together(town: RobotTown, kind: str) -> None:
    robot = robot_of(town, kind)
    for n in range(300):
        robot.tell(f"n{n}")
        await robot.speak()
        town.clock.advance(1)
    town.clock.advance(10)
    await robot.speak()
    told = [line for said in town.said[kind] for line in said.split() if line[0] == "n"]
    assert Counter(told) == Counter(f"n{n}" for n in range(300))
    assert town.calls[kind] < 105
    busiest = max(
        len([at for at in town.times[kind] if start <= at <= start + 60])
        for start in town.times[kind]
    )
    assert busiest <= 20
    assert town.said[kind][1].startswith("4 条通知：")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_busy_robot_is_asked_again_and_nothing_is_lost(town: RobotTown, kind: str) -> None:
    busy: dict[str, Response] = {
        "wecom": JSONResponse({"errcode": 45009}),
        "dingtalk": JSONResponse({"errcode": 130101}),
        "feishu": JSONResponse({"code": 11232}),
        "slack": PlainTextResponse("rate_limited", 429, headers={"Retry-After": "30"}),
    }
    town.answers[kind] = [busy[kind]]
    robot = robot_of(town, kind)
    robot.tell("first")
    await robot.speak()
    robot.tell("second")
    await robot.speak()
    assert town.calls[kind] == 1
    town.clock.advance(30 if kind == "slack" else 60)
    await robot.speak()
    (said,) = town.said[kind]
    assert said.split() == [ZH.digest.format(count=2).split()[0], "条通知：", "first", "second"]


async def test_a_robot_that_stays_busy_is_given_up(town: RobotTown) -> None:
    town.answers["slack"] = [PlainTextResponse("no", 500) for _ in range(TRIES)]
    robot = robot_of(town, "slack")
    robot.tell("old")
    for _ in range(TRIES):
        await robot.speak()
        town.clock.advance(60)
    robot.tell("new")
    await robot.speak()
    assert town.said["slack"] == ["new"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refusal_in_the_body_of_a_200_is_not_taken_for_success(
    town: RobotTown, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    town.answers[kind] = [JSONResponse({"errcode": 310000, "code": 19021})]
    robot = robot_of(town, kind)
    robot.tell("lost")
    await robot.speak()
    assert [record.message for record in caplog.records] == ["robot_untold"]
    town.clock.advance(60)
    await robot.speak()
    assert town.calls[kind] == 1


class Broken(httpx.AsyncBaseTransport):
    """A network that fails in one way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (httpx.ConnectError("refused"), 2),
        (httpx.ConnectTimeout("silent"), 2),
        (httpx.ReadTimeout("no answer"), 1),
        (httpx.ReadError("reset"), 1),
        (RuntimeError("a bug"), 1),
    ],
)
async def test_only_what_surely_was_not_heard_is_said_again(
    town: RobotTown, error: Exception, calls: int
) -> None:
    broken = Broken(error)
    robot = robot_of(town, "wecom", httpx.AsyncClient(transport=broken))
    robot.tell("hello?")
    try:
        await robot.speak()
    except RuntimeError:
        assert isinstance(error, RuntimeError)
    town.clock.advance(60)
    await robot.speak()
    assert broken.calls == calls


async def test_redirects_are_not_followed_and_endless_answers_not_read(town: RobotTown) -> None:
    async def drip() -> object:
        for _ in range(10_000):
            yield b"x" * 65_536

    endless = httpx.MockTransport(lambda _: httpx.Response(200, content=drip()))  # type: ignore[arg-type]
    away = httpx.MockTransport(
        lambda asked: (
            httpx.Response(307, headers={"location": "http://169.254.169.254/"})
            if asked.url.host == "qyapi.weixin.qq.com"
            else pytest.fail("followed")
        )
    )
    for transport in (endless, away):
        http = httpx.AsyncClient(transport=transport, follow_redirects=True)
        robot = robot_of(town, "wecom", http)
        robot.tell("hello?")
        with anyio.fail_after(5):
            await robot.speak()


async def test_a_full_queue_keeps_the_newest(town: RobotTown) -> None:
    robot = robot_of(town, "slack")
    for n in range(QUEUED + 50):
        robot.tell(f"n{n}")
    await robot.speak()
    (said,) = town.said["slack"]
    assert said.split("\n")[0] == "100 条通知："
    assert said.split("\n")[-1] == f"n{QUEUED + 49}"


@pytest.mark.parametrize("kind", KINDS)
async def test_no_secret_reaches_a_log(
    town: RobotTown, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kefu")
    (target,) = targets(only(kind))
    assert KEY not in repr(target)
    town.answers[kind] = [JSONResponse({"errcode": 1, "code": 1})]
    ways: list[httpx.AsyncClient] = [
        town.http(),
        httpx.AsyncClient(transport=Broken(httpx.ConnectError(KEY))),
        httpx.AsyncClient(transport=Broken(RuntimeError(KEY))),
    ]
    for http in ways:
        robot = Robot(http, town.clock, target, ZH)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(robot.run)
            before = len(caplog.records)
            robot.tell("a word of the team")
            await until(lambda before=before: len(caplog.records) > before)  # type: ignore[misc]
            tasks.cancel_scope.cancel()
    own = [record for record in caplog.records if record.name.startswith("kefu")]
    lines = "".join(JsonFormatter("test").format(record) for record in own)
    assert own
    for secret in (KEY, SIGNING, "a word of the team", "https://"):
        assert secret not in lines


def test_each_robot_has_its_own_address_and_secret() -> None:
    found = {target.kind: target for target in targets(OPTIONS)}
    assert tuple(found) == cast(tuple[RobotKind, ...], KINDS)
    assert [found[kind].secret is not None for kind in found] == [False, True, True, False]
