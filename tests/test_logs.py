"""Log lines: their shape, whose they are, and what never stands in them."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from actors import Actor, ActorId, Kind, Router
from kefu import logs
from kefu.inhabitants import note_crash
from kefu.storage.errors import StoreUnavailable

CANARIES = {
    "token": "tok-canary-1",
    "refresh_token": "tok-canary-2",
    "password": "pass-canary-3",
    "Authorization": "Bearer canary-4",
    "jwt_secret": "canary-5",
    "content": "我的快递在哪里 canary-6",
    "email": "canary7@example.com",
    "phone": "13800138008",
    "feedback": "canary-9",
}

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    out = io.StringIO()
    logs.configure(level="info", style="json", stream=out, instance="kefu-1")
    yield out
    root.handlers[:], root.level = before
    for own in (*logs.OWN, *logs.QUIET):
        logging.getLogger(own).setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_event_fields_and_instance(stream: io.StringIO) -> None:
    logging.getLogger("kefu.dispatch").info("handoff_done", extra={"waited_s": 3, "kind": "bot"})
    (line,) = lines(stream)
    assert line["event"] == "handoff_done"
    assert line["level"] == "info"
    assert (line["waited_s"], line["kind"]) == (3, "bot")
    assert line["instance"] == "kefu-1"
    assert line["timestamp"].endswith("Z")


def test_the_chat_and_the_actor_are_on_every_line_inside(stream: io.StringIO) -> None:
    log = logging.getLogger("kefu.conversations")
    with logs.bound(chat="c-1", acting="conversation/c-1"):
        log.info("inner")
        with logs.bound(chat="c-2"):
            log.info("innermost")
    log.info("outer")
    inner, innermost, outer = lines(stream)
    assert (inner["chat_id"], inner["actor"]) == ("c-1", "conversation/c-1")
    assert (innermost["chat_id"], innermost["actor"]) == ("c-2", "conversation/c-1")
    assert "chat_id" not in outer


class Talker(Actor[str]):
    async def receive(self, message: str) -> None:
        logging.getLogger("kefu.conversations").info(message)


async def test_what_an_actor_writes_carries_its_address_as_text(stream: io.StringIO) -> None:
    router = Router(
        [Kind("talker", lambda _key: Talker())], random=Random(1), on_enter=logs.actor.set
    )
    async with router:
        for key in ("one", "two"):
            router.ref("talker", key).tell(f"said_by_{key}")
    assert {line["event"]: line["actor"] for line in lines(stream)} == {
        "said_by_one": "talker/one",
        "said_by_two": "talker/two",
    }


def test_private_fields_are_masked_also_when_nested(stream: io.StringIO) -> None:
    log = logging.getLogger("kefu.gateway")
    log.info("flat", extra=CANARIES)
    log.info("nested", extra={"frame": {"payload": CANARIES}, "all": [CANARIES]})
    text = stream.getvalue()
    for canary in CANARIES.values():
        assert json.dumps(canary, ensure_ascii=False).strip('"') not in text
    assert lines(stream)[0]["token"] == "***"


def test_counts_of_private_things_are_shown(stream: io.StringIO) -> None:
    logging.getLogger("kefu.bot").info("answered", extra={"token_count": 12, "phone": 138_0013})
    assert lines(stream)[0]["token_count"] == 12
    assert lines(stream)[0]["phone"] == "***"


@pytest.mark.parametrize(
    "message",
    [
        '127.0.0.1:5 - "WebSocket /ws/chat?token=canary-a&x=1" [accepted]',
        "GET /?x=1&guest_token=canary-a HTTP/1.1",
        "Authorization: Bearer canary-a",
        "subprotocols kefu.v1, bearer.canary-a",
        "cannot connect to postgresql://kefu:canary-a@db/kefu",
        "bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnktYSJ9.canary-a",
        "no mail to canary-a@shop.example",
        "Task exception was never retrieved\nfuture: <Task exception=ValueError('canary-a')>",
    ],
)
def test_what_a_library_writes_is_searched_for_secrets(stream: io.StringIO, message: str) -> None:
    logging.getLogger("uvicorn.error").warning(message)
    assert "canary-a" not in stream.getvalue()
    assert lines(stream)[0]["event"][:8] == message[:8]


@pytest.mark.parametrize("number", ["13800138008", "+86 138 0013 8008", "6222021234567890123"])
def test_phone_and_card_numbers_are_masked_in_text(stream: io.StringIO, number: str) -> None:
    logging.getLogger("kefu").info("called", extra={"reason": f"call {number} now"})
    assert number not in stream.getvalue()


def test_dates_and_ids_stay_readable(stream: io.StringIO) -> None:
    one_id = UUID("01890000-0000-7000-8000-000000000001")
    logging.getLogger("kefu").info(
        "seen", extra={"day": "2026-11-21 09", "chat": one_id, "at": Path("a/b"), "none": None}
    )
    (line,) = lines(stream)
    assert (line["day"], line["chat"], line["at"]) == ("2026-11-21 09", str(one_id), "a/b")


def test_an_object_is_named_and_not_printed(stream: io.StringIO) -> None:
    class Frame:
        def __repr__(self) -> str:
            return "canary-b"

    logging.getLogger("kefu").info("odd", extra={"frame": Frame()})
    assert lines(stream)[0]["frame"] == "<Frame>"


def test_a_trace_has_types_and_places_but_not_the_words(stream: io.StringIO) -> None:
    def parse(words: str) -> int:
        return int(words)

    try:
        try:
            parse("canary-c")
        except ValueError as error:
            raise ExceptionGroup("canary-d", [error, KeyError("canary-e")]) from error
    except ExceptionGroup:
        logging.getLogger("kefu").exception("unexpected")
    (line,) = lines(stream)
    assert "canary" not in stream.getvalue()
    assert "ExceptionGroup" in line["trace"]
    assert "KeyError" in line["trace"]
    assert "test_logs.py" in line["trace"]
    assert " parse" in line["trace"]


def test_libraries_stay_above_debug_when_kefu_does_not() -> None:
    out = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        logs.configure(level="debug", style="text", stream=out)
        logging.getLogger("websockets.server").debug("< TEXT 'canary-f'")
        logging.getLogger("kefu").debug("own_detail", extra={"depth": 4})
    finally:
        root.handlers[:], root.level = before
        for own in (*logs.OWN, *logs.QUIET):
            logging.getLogger(own).setLevel(logging.NOTSET)
    assert "canary-f" not in out.getvalue()
    assert "own_detail depth=4" in out.getvalue()


def test_a_log_file_gets_the_same_lines(stream: io.StringIO, tmp_path: Path) -> None:
    file = tmp_path / "kefu.log"
    logs.configure(level="info", style="text", stream=stream, file=file)
    logging.getLogger("kefu").info("both", extra={"n": 1})
    written = json.loads(file.read_text(encoding="utf-8"))
    assert (written["event"], written["n"]) == ("both", 1)
    assert "both n=1" in stream.getvalue()
    logging.getLogger().handlers[1].close()


def test_text_lines_cannot_be_forged_with_a_line_break(stream: io.StringIO) -> None:
    logs.configure(level="info", style="text", stream=stream)
    logging.getLogger("kefu").info("refused", extra={"reason": "x\n09:00 info all_is_well"})
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "level"),
    [(StoreUnavailable("The database cannot be reached."), "WARNING"), (KeyError("x"), "ERROR")],
)
def test_an_actor_the_store_failed_is_not_to_blame(
    error: Exception, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    note_crash(ActorId("conversation", "7"), error)

    assert [record.levelname for record in caplog.records] == [level]
