"""What clients get wrong: each a typed answer, and the connection stays."""

import json

import anyio
import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.server import People

BAD_FRAMES: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("hello", "INVALID_MESSAGE"),
    "an empty frame": ("", "INVALID_MESSAGE"),
    "an array": ("[]", "INVALID_MESSAGE"),
    "no type": ('{"payload": {}}', "INVALID_MESSAGE"),
    "a type that is no text": ('{"type": 5}', "INVALID_MESSAGE"),
    "an unknown type": ('{"type": "launch"}', "UNKNOWN_TYPE"),
    "an agent's type": ('{"type": "accept_chat", "payload": {"chat_id": "x"}}', "UNKNOWN_TYPE"),
    "a payload of another shape": ('{"type": "send_message", "payload": []}', "INVALID_MESSAGE"),
    "no payload": ('{"type": "send_message"}', "INVALID_MESSAGE"),
    "an empty message": ('{"type": "send_message", "payload": {"content": ""}}', "INVALID_MESSAGE"),
    "a message too long": (
        json.dumps({"type": "send_message", "payload": {"content": "长" * 4001}}),
        "CONTENT_TOO_LONG",
    ),
    "a message type of our own": (
        '{"type": "send_message", "payload": {"content": "a", "message_type": "system"}}',
        "UNSUPPORTED_MESSAGE_TYPE",
    ),
    "a chat id that is none": (
        '{"type": "send_message", "payload": {"content": "a", "chat_id": "1"}}',
        "INVALID_MESSAGE",
    ),
    "a character no database keeps": (
        '{"type": "send_message", "payload": {"content": "a\\u0000"}}',
        "INVALID_MESSAGE",
    ),
    "half a surrogate pair": (
        '{"type": "send_message", "payload": {"content": "\\ud800"}}',
        "INVALID_MESSAGE",
    ),
    "a rating of six": ('{"type": "rate_chat", "payload": {"rating": 6}}', "INVALID_MESSAGE"),
    "nesting without end": ('{"type": ' * 7000, "INVALID_MESSAGE"),
    "a binary frame": (b'{"type": "ping"}', "INVALID_MESSAGE"),
    "an id too long": (f'{{"type": "ping", "id": "{"x" * 65}"}}', "INVALID_MESSAGE"),
}


@pytest.mark.parametrize(("frame", "code"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_a_bad_frame_is_answered_and_the_connection_stays(
    people: People, frame: str | bytes, code: str
) -> None:
    async with people.connected(people.customer()) as customer:
        await customer.raw(frame)
        answer = await customer.next()
        await customer.send("ping", id="still there")
        pong = await customer.next()

    assert answer["type"] == "error"
    assert answer["payload"]["code"] == code
    assert answer["payload"]["message"]
    assert pong["reply_to"] == "still there"


async def test_an_answer_to_a_bad_frame_repeats_its_id(people: People) -> None:
    async with people.connected(people.customer()) as customer:
        await customer.send("send_message", {"content": ""}, id="7")
        assert (await customer.next())["reply_to"] == "7"


async def test_a_frame_too_large_closes_the_connection_with_1009(people: People) -> None:
    async with people.connected(people.customer()) as customer:
        await customer.raw("x" * (64 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await customer.next()

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_a_hundred_invalid_frames_in_ten_seconds_close_the_connection(
    people: People,
) -> None:
    async with people.connected(people.customer()) as customer:
        for _ in range(100):
            await customer.raw("nonsense")
        with pytest.raises(ConnectionClosed) as closed:
            await customer.expect("the end")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4504


async def test_who_sends_too_fast_is_told_when_to_go_on(people: People) -> None:
    async with people.connected(people.customer()) as customer:
        for number in range(80):
            await customer.send("ping", id=str(number))
        limited = await customer.expect("error")

    assert limited["payload"]["code"] == "RATE_LIMITED"
    assert 0 < limited["payload"]["retry_after_s"] <= 1


async def refused(people: People, token: str | None, path: str = "/ws/chat", **options: object):
    with pytest.raises(InvalidStatus) as refusal, anyio.fail_after(10):
        async with people.connected(token, path, **options):
            pass
    return refusal.value.response


async def test_six_kinds_of_bad_tokens_are_refused_before_the_upgrade(people: People) -> None:
    agent = await people.agent()
    good = people.customer()
    head, body, signature = good.split(".")
    bad = {
        "no token at all": "",
        "nonsense": "abc",
        "another body": f"{head}.{body[:-2]}xx.{signature}",
        "no signature": f"{head}.{body}.",
        "expired": people.tokens.customer("c", ttl_s=-1),
        "an agent by the shop's secret": good.replace(".", "..", 1),
        "an agent's, broken": agent.token[:-1] + ("A" if agent.token[-1] != "A" else "B"),
    }
    answers = {name: await refused(people, token, in_query=True) for name, token in bad.items()}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(bad, 401)
    bodies = {json.loads(answer.body)["code"] for answer in answers.values()}
    assert bodies == {"UNAUTHORIZED"}


async def test_a_browser_can_ask_over_http_why_it_was_refused(people: People) -> None:
    good, bad = people.customer(), people.customer()[:-4]
    async with httpx.AsyncClient(base_url=people.server.url) as client:
        fine = await client.get("/ws/chat", params={"token": good})
        refusal = await client.get("/ws/chat", params={"token": bad})
        foreign = await client.get("/ws/chat", headers={"origin": "https://evil.example"})

    assert (fine.status_code, fine.headers["upgrade"]) == (426, "websocket")
    assert (refusal.status_code, refusal.json()["code"]) == (401, "UNAUTHORIZED")
    assert foreign.status_code == 403


async def test_the_workbench_is_for_agents(people: People) -> None:
    for token in (people.customer(), None):
        answer = await refused(people, token, "/ws/workbench")
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1",
        "https://127.0.0.1",
    ],
)
async def test_a_page_of_another_site_may_not_connect(people: People, origin: str) -> None:
    answer = await refused(people, people.customer(), origin=origin)
    assert answer.status_code == 403


async def test_a_page_of_our_own_may_connect(people: People) -> None:
    async with people.connected(people.customer(), origin=people.server.url) as customer:
        await customer.send("ping")
        assert (await customer.next())["type"] == "pong"


async def test_a_person_with_too_many_devices_is_refused(people: People) -> None:
    token = people.customer()
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            await tasks.start(_stay, people, token)
        answer = await refused(people, token)
        tasks.cancel_scope.cancel()

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def _stay(people: People, token: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    async with people.connected(token) as customer:
        await customer.settle()
        task_status.started()
        await anyio.sleep_forever()


async def test_no_token_ever_reaches_the_servers_log(people: People) -> None:
    token = people.customer()
    async with people.connected(token, in_query=True) as customer:
        await customer.settle()
    await refused(people, token[:-3], in_query=True)

    assert token[:-3] not in "".join(people.server.said)
