"""The demo shop's entries: complete, alike in three languages, and loaded once."""

import re
from collections import Counter
from typing import get_args

import pytest

from kefu.knowledge.demo import demo_entries, load_demo
from kefu.knowledge.grams import question_key
from protocol.knowledge import Locale, NewEntry
from tests.knowledge.shop import Shop


@pytest.fixture
async def entries() -> list[NewEntry]:
    return await demo_entries()


async def test_every_answer_is_there_in_every_language(entries: list[NewEntry]) -> None:
    keys = {locale: {each.key for each in entries if each.locale == locale} for locale in LOCALES}
    assert keys["zh-CN"] == keys["zh-TW"] == keys["en"]
    assert len(keys["en"]) >= 60
    assert None not in keys["en"]


LOCALES = get_args(Locale)


async def test_every_entry_has_four_to_eight_other_ways_to_ask(entries: list[NewEntry]) -> None:
    assert [each.key for each in entries if not 4 <= len(each.phrasings) <= 8] == []


async def test_no_language_asks_two_entries_in_the_same_words(entries: list[NewEntry]) -> None:
    asked = Counter(
        (entry.locale, question_key(text))
        for entry in entries
        for text in {entry.question, *entry.phrasings}
    )
    assert [text for text, count in asked.items() if count > 1] == []


async def test_numbers_are_the_same_in_every_language(entries: list[NewEntry]) -> None:
    """Of both Chinese ones; English writes some of them as words."""
    numbers = {
        (entry.key, entry.locale): sorted(re.findall(r"\d+", entry.answer.replace("·", "")))
        for entry in entries
    }
    assert [
        key
        for key, locale in numbers
        if locale == "zh-CN" and numbers[key, "zh-CN"] != numbers[key, "zh-TW"]
    ] == []


async def test_they_are_loaded_into_an_empty_knowledge_alone(shop: Shop) -> None:
    count = await load_demo(shop.world)
    assert count == len(await demo_entries())
    act = await shop.last_act()
    assert (act.action, act.by_type) == ("knowledge.imported", "system")
    assert await load_demo(shop.world) == 0
    page = await shop.entries.page(words=None, locale=None, offset=0, limit=1)
    assert page.total == count


async def test_a_shop_that_has_an_entry_of_its_own_gets_none(shop: Shop) -> None:
    await shop.add("Our own question?")
    assert await load_demo(shop.world) == 0
    page = await shop.entries.page(words=None, locale=None, offset=0, limit=1)
    assert page.total == 1
