"""Events come out of bytes the same however these are cut, and text is never taken for a line."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kefu.bot.sse import LIMIT_BYTES, Event, OversizedEvent, SseReader
from tests.fakes.upstream import transcripts

LINE_END = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")
    | st.sampled_from("\u2028\u2029\x85\x0b\x0c:")
)


def read(*chunks: bytes) -> list[Event]:
    reader = SseReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return events + reader.end()


def chopped(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    return [whole[a:b] for a, b in pairwise(places)]


@st.composite
def transcript(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """A stream with every freedom the format leaves, and the events that are in it."""
    stream, events = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])), []
    for _ in range(draw(st.integers(0, 4))):
        name = draw(TEXT.filter(lambda text: not text.startswith(" ")))
        lines, comments = draw(st.lists(TEXT, min_size=1, max_size=3)), draw(st.lists(TEXT))
        end, gap = draw(LINE_END), draw(st.sampled_from([b"", b" "]))
        parts = [b":" + gap + text.encode() for text in comments]
        parts += [b"event:" + gap + name.encode(), b"id: 1", b"retry: 5", b"odd"]
        parts += [b"data:" + (gap or b" " * line.startswith(" ")) + line.encode() for line in lines]
        stream += b"".join(part + end for part in parts) + end
        kept = [text if gap else text.removeprefix(" ") for text in comments]
        events.append(Event(name, "\n".join(lines).encode(), tuple(kept)))
    return stream, events


@given(transcript(), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_chopping_of_a_stream_gives_the_same_events(
    made: tuple[bytes, list[Event]], cuts: list[int]
) -> None:
    stream, events = made
    assert read(stream) == events
    assert read(*chopped(stream, cuts)) == events
    assert read(*(bytes([byte]) for byte in stream)) == events


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_any_bytes_are_read_without_complaint_and_the_same_however_chopped(
    stream: bytes, cuts: list[int]
) -> None:
    assert read(*chopped(stream, cuts)) == read(stream)


BOM = b"\xef\xbb\xbf"
PARTS = st.sampled_from(
    [
        *(b"data: a\n\n", b"data: \n\n", b"data: b\r\n\r\n", b"data: c\r\n\n"),
        *(b"data: d\n\ndata: e\n\n", b"data: f\n", b"data: g\n:", b"event: h\n", b": i\n"),
        *(b"id: 1\n\n", b"\n", b"\r", BOM),
    ]
)


@given(st.lists(PARTS, max_size=8))
@example([b"data: a\n\n", BOM, b"data: a\n\n"])
def test_events_that_come_each_by_itself_are_the_same_as_together(parts: list[bytes]) -> None:
    assert read(*parts) == read(b"".join(parts))


@pytest.mark.parametrize("text", ["a\u2028b", "a\u2029b", "a\x85b", "a\x0bb\x0cc\x1cd"])
def test_what_python_calls_a_line_is_text_here(text: str) -> None:
    whole = transcripts.coze((text,))
    contents = [msgspec.json.decode(event.data).get("content") for event in read(whole)]
    assert text in contents


def test_the_status_dashscope_puts_into_a_comment_is_kept() -> None:
    (event,) = read(transcripts.dashscope_event(3, "error", 429, {"code": "Throttling"}))
    assert event == Event("error", b'{"code":"Throttling"}', ("HTTP_STATUS/429",))


def test_keep_alive_comments_and_events_without_data_are_no_events() -> None:
    assert read(b": keep-alive\n\n:\n\nevent: ping\n\ndata: 1\n\n") == [Event("", b"1")]


def test_an_event_whose_last_line_is_whole_counts_at_the_end_and_half_a_line_does_not() -> None:
    assert read(b"data: [DONE]\n") == [Event("", b"[DONE]")]
    assert read(b"data: [DONE]\r") == [Event("", b"[DONE]")]
    assert read(b'data: {"content": "hal') == []


def test_one_space_behind_the_colon_is_left_out_and_no_more() -> None:
    assert read(b"data:  a\ndata:b\n\n") == [Event("", b" a\nb")]


@pytest.mark.parametrize(
    "filler", [b"data: %b\n" % (b"x" * 999), b": %b\n" % (b"x" * 999), b"x" * 999]
)
def test_an_event_without_end_is_refused_before_it_fills_the_memory(filler: bytes) -> None:
    with pytest.raises(OversizedEvent):
        read(*[filler] * (LIMIT_BYTES // len(filler) + 2))


def test_the_limit_is_for_each_event_not_for_all() -> None:
    reader = SseReader(limit_bytes=100)
    with pytest.raises(OversizedEvent):
        SseReader(limit_bytes=100).feed(b"data: " + b"x" * 95 + b"\n\n")
    assert sum(len(reader.feed(b"data: " + b"x" * 80 + b"\n\n")) for _ in range(50)) == 50
