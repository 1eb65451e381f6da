"""What clients without a WebSocket get wrong, or may not ask: each a typed answer."""

import json

import pytest

from tests.server import People
from tests.stories.event_source import PATH, Poster, frame
from tests.talk import Talker


def poster(people: People, token: str | None) -> Poster:
    return Poster(people.server.url, token)


async def accepted(desk: Talker, chat_id: str) -> None:
    await desk.send("accept_chat", {"chat_id": chat_id})
    await desk.expect("chat_status", status="active")


@pytest.mark.parametrize(
    "cursor",
    ["nonsense", "0" * 32 + ":x", ",", ":", "@", "a" * 5000, "ÿ", "0" * 32 + ":1," * 2],
)
async def test_a_cursor_that_is_none_counts_as_none(people: People, cursor: str) -> None:
    async with poster(people, people.customer()) as customer:
        chat_id = await customer.start()
        request = customer.client.build_request("GET", PATH, timeout=10)
        request.headers.raw.append((b"last-event-id", cursor.encode("latin-1")))
        response = await customer.client.send(request, stream=True)
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("data: "):
                break
        await response.aclose()
    assert response.status_code == 200
    assert json.loads(line.removeprefix("data: "))["payload"]["chat_id"] == chat_id


async def test_anothers_chat_is_not_told_of_whatever_the_cursor_says(people: People) -> None:
    agent = await people.agent()
    async with (
        poster(people, people.customer()) as owner,
        poster(people, people.customer()) as stranger,
        people.connected(agent.token) as desk,
    ):
        chat_id = await owner.start()
        await owner.say("秘密")
        cursor = f"{chat_id.replace('-', '')}:0"
        async with stranger.listening(cursor) as stream:
            own = await stranger.start()
            await accepted(desk, own)
            await stream.expect("chat_status", status="active")
        (error,) = await stranger.post(frame("resume", chat_id=chat_id, last_seq=0))
    assert {each["payload"]["chat_id"] for each in stream.frames} == {own}
    assert chat_id.replace("-", "") not in stream.last_id
    assert error["payload"]["code"] == "CHAT_NOT_FOUND"


async def test_bad_tokens_and_foreign_pages_get_no_stream_and_no_answer(people: People) -> None:
    async with poster(people, people.customer()[:-3]) as nobody:
        assert (await nobody.client.get(PATH)).status_code == 401
        assert (await nobody.client.post(PATH, json=[])).status_code == 401
    async with poster(people, people.customer()) as customer:
        foreign = {"origin": "https://evil.example"}
        assert (await customer.client.get(PATH, headers=foreign)).status_code == 403
        assert (await customer.client.post(PATH, headers=foreign, json=[])).status_code == 403
        assert (await customer.client.head(PATH)).status_code == 200
        other = await customer.client.delete(PATH)
        assert (other.status_code, other.json()["code"]) == (405, "METHOD_NOT_ALLOWED")


async def test_a_wrong_frame_among_right_ones_is_told_in_the_answer(people: People) -> None:
    async with poster(people, people.customer()) as customer:
        caused = await customer.post(
            frame("start_chat") | {"id": "1"},
            frame("launch") | {"id": "2"},
            {"type": "send_message", "id": "3", "payload": {"content": ""}},
            {"payload": {}},
            frame("accept_chat", chat_id="x") | {"id": "5"},
            frame("send_message", content="在吗") | {"id": "6"},
        )
        unlike = await customer.client.post(PATH, json=[1, "x", None, []])
    errors = {
        each.get("reply_to"): each["payload"]["code"] for each in caused if each["type"] == "error"
    }
    assert errors == {
        "2": "UNKNOWN_TYPE",
        "3": "INVALID_MESSAGE",
        None: "INVALID_MESSAGE",
        "5": "UNKNOWN_TYPE",
    }
    assert [e["reply_to"] for e in caused if e["type"] in ("chat_status", "message_ack")] == [
        "1",
        "6",
    ]
    frames = unlike.json()["data"]["frames"]
    assert [each["payload"]["code"] for each in frames] == ["INVALID_MESSAGE"] * 4


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "INVALID_MESSAGE"),
        (b"hello", 400, "INVALID_MESSAGE"),
        (b"3", 400, "INVALID_MESSAGE"),
        (b'{"type": "ping"', 400, "INVALID_MESSAGE"),
        (b'[{"type": "ping"}', 400, "INVALID_MESSAGE"),
        (b'{"type": "\xff"}', 400, "INVALID_MESSAGE"),
        (b"[" * 50_000, 400, "INVALID_MESSAGE"),
        (b'[{"type":"ping"}' + b',{"type":"ping"}' * 64 + b"]", 413, "TOO_LARGE"),
        (b'{"type": "ping", "x": "' + b"x" * 70_000 + b'"}', 413, "TOO_LARGE"),
        (b" " * (256 * 1024 + 1), 413, "TOO_LARGE"),
        (b" " * (1024 * 1024 + 1), 413, "TOO_LARGE"),
    ],
    ids=[
        *("nothing", "no JSON", "a number", "half an object", "half a list", "no UTF-8"),
        *("nesting without end", "too many", "a frame too large", "too large", "far too large"),
    ],
)
async def test_a_body_that_is_no_frames_is_refused_whole(
    people: People, body: bytes, status: int, code: str
) -> None:
    async with poster(people, people.customer()) as customer:
        answer = await customer.client.post(PATH, content=body)
        good = await customer.post()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert good == []


async def test_the_frame_rate_holds_over_all_requests_of_a_person(people: People) -> None:
    async with (
        poster(people, people.customer()) as customer,
        poster(people, people.customer()) as other,
    ):
        pings = [frame("ping") | {"id": str(number)} for number in range(50)]
        caused = await customer.post(*pings)
        more = await customer.post(*pings)
        calm = await other.post(*pings)
    assert {each["type"] for each in caused + calm} == {"pong"}
    refused = [each for each in more if each["type"] == "error"]
    assert refused
    assert {each["payload"]["code"] for each in refused} == {"RATE_LIMITED"}
    assert all(0 < each["payload"]["retry_after_s"] <= 1 for each in refused)
    assert [each["reply_to"] for each in more] == [str(number) for number in range(50)]
