"""Mails as people read them: complete in three languages, escaped, bounded."""

import re
from html.parser import HTMLParser
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kefu.notifications.render import (
    HEADER_CHARS,
    TRANSCRIPT_CHARS,
    Line,
    Sheet,
    alert_line,
    as_html,
    as_text,
    flat,
    is_address,
)
from kefu.notifications.state import ALERT_KINDS, Alert
from kefu.notifications.texts import WORDS, Words, words_of

EN = WORDS["en"]
NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</bdi></p></body><h1>",
    "&lt;already&amp;",
    "{name} %s ${x}",
    "javascript:alert(1)",
)


class Tags(HTMLParser):
    """Every tag there is, and all that is read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def sheet(content: str = "在吗", name: str = "王小明") -> Sheet:
    return Sheet(
        subject="subject",
        intro="intro",
        facts=((EN.customer, name), (EN.details, content)),
        lines=(Line("2026-11-21 17:00", EN.customer_says, content),),
    )


@pytest.mark.parametrize("nasty", NASTY)
def test_what_people_write_is_never_markup(nasty: str) -> None:
    plain, marked = Tags(as_html(sheet(), EN)), Tags(as_html(sheet(nasty, nasty), EN))
    assert marked.tags == plain.tags
    assert marked.words.count(nasty) == 3


@given(st.text(), st.text())
def test_no_text_at_all_is_markup(content: str, name: str) -> None:
    expected = Tags(as_html(sheet(), EN))
    found = Tags(as_html(sheet(content, name), EN))
    assert [tag for tag in found.tags if tag != ("br", ())] == [
        tag for tag in expected.tags if tag != ("br", ())
    ]
    as_text(sheet(content, name), EN).encode()


def test_nobody_speaks_for_somebody_else_in_plain_text() -> None:
    forged = "hello\n[2026-11-21 17:01] Agent: send me your card\r\nE-mail: x@y.z\u2028E-mail: z"
    lines = as_text(sheet(forged), EN).splitlines()
    assert [line for line in lines if line.startswith(("[", "E-mail"))] == [
        "[2026-11-21 17:00] Customer: hello"
    ]


def test_a_mail_has_an_end_and_says_what_is_left_out() -> None:
    lines = tuple(Line("at", "who", f"{n:04}" + "x" * 3996) for n in range(200))
    long = structs.replace(sheet(), lines=lines, left_out=300, facts=())
    text = as_text(long, EN)
    assert "(475 earlier messages are left out)" in text
    assert text.count("x") == 3996 * 25 + text.count("Ex")
    assert "0175" in text
    assert "0174" not in text
    assert len(text) < TRANSCRIPT_CHARS + 3000
    assert "(475 earlier messages are left out)" in as_html(long, EN)


def test_an_empty_chat_says_so() -> None:
    empty = structs.replace(sheet(), lines=())
    assert EN.nothing_said in as_text(empty, EN)
    assert EN.nothing_said in Tags(as_html(empty, EN)).words
    without = structs.replace(sheet(), has_transcript=False)
    assert EN.transcript not in as_text(without, EN) + as_html(without, EN)


@pytest.mark.parametrize("field", Words.__struct_fields__)
def test_every_word_is_there_in_every_language(field: str) -> None:
    said = [getattr(words, field) for words in WORDS.values()]
    assert all(said)
    keys = [
        set(each) if isinstance(each, dict) else set(re.findall(r"{\w+}", each)) for each in said
    ]
    assert keys[0] == keys[1] == keys[2]


@pytest.mark.parametrize(("kind", "is_over"), tuple(product(ALERT_KINDS, (False, True))))
def test_every_alert_is_one_line_in_every_language(kind: str, is_over: bool) -> None:
    alert = Alert(kind, is_over, count=3, value=700, limit=600)  # type: ignore[arg-type]
    lines = {alert_line(alert, words) for words in WORDS.values()}
    assert len(lines) == 3
    assert not any("\n" in line or "{" in line for line in lines)


def test_figures_are_said_as_people_say_them() -> None:
    assert "for 12 min (limit 90 s)" in alert_line(
        Alert("waiting", count=1, value=700, limit=90), EN
    )
    assert "5.2% of requests fail (limit 5.0%)" in alert_line(
        Alert("errors", value=0.052, limit=0.05), EN
    )


@pytest.mark.parametrize(
    ("chosen", "locale", "expected"),
    [
        (None, None, "zh-CN"),
        (None, "zh_HK", "zh-TW"),
        (None, "zh-Hant", "zh-TW"),
        (None, "zh", "zh-CN"),
        (None, "de-AT", "en"),
        ("zh-TW", "en", "zh-TW"),
    ],
)
def test_the_shops_language_counts_before_the_customers(
    chosen: str | None, locale: str | None, expected: str
) -> None:
    assert words_of(chosen, locale) is WORDS[expected]  # type: ignore[arg-type,index]


@given(st.text())
def test_a_header_is_one_short_line(text: str) -> None:
    line = flat(text)
    assert len(line) <= HEADER_CHARS
    assert "=?" not in line
    assert line == "" or line.splitlines() == [line]
    assert not re.search(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", line)


@pytest.mark.parametrize(
    "address",
    ["a@b.cn", "first.last+tag@sub.shop.example", "o'brien@x-y.co.uk", f"{'a' * 64}@shop.example"],
)
def test_an_address_is_taken(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@b",
        "@b.cn",
        "a@b.cn, c@d.cn",
        "a@b.cn\r\nBcc: c@d.cn",
        "a@b.cn\n",
        "<a@b.cn>",
        "A <a@b.cn>",
        '"a b"@b.cn',
        "a@b.cn;c@d.cn",
        "a..b@c.cn",
        ".a@b.cn",
        "a@-b.cn",
        "a@b.cn (comment)",
        "用户@例子.中国",
        "a@b.cn\x00",
        f"{'a' * 250}@b.cn",
        "a" * 100_000,
        "a." * 50_000 + "@",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    assert not is_address(text)
