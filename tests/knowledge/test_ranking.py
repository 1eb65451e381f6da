"""Which entry comes first by shared words, and how sure the bot may be."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.knowledge.engines import LexicalEngine, words_of
from kefu.knowledge.lexical import LexicalIndex
from kefu.knowledge.state import (
    Known,
    Ranking,
    Scale,
    chance_of,
    grouped,
    judge,
    language,
    settled,
    spoken,
)

RETURNS = ("怎么退货", "我要退货", "退货流程")
FEES = ("运费多少", "包邮吗", "邮费怎么算")
WEATHER = ("今天下雨吗", "明天天气怎么样")
SCALE = Scale(score=10.0, background=-10.0, odds=0.1, above=1.0, sure=0.9, lead=0.1)


def entry(number: int, locale: str | None = None, key: str | None = None, **fields: str) -> Known:
    question = fields.get("question", f"q{number}")
    return Known(UUID(int=number), key, locale, question, f"a{number}")  # type: ignore[arg-type]


def test_the_document_with_the_rare_words_comes_first() -> None:
    index = LexicalIndex([RETURNS, FEES], [WEATHER])
    shares = index.overlap("你们包邮吗").shares
    assert max(shares, key=shares.__getitem__) == 1
    assert all(0 < share <= 1 for share in shares.values())


def test_small_talk_is_nearer_to_the_background_and_has_the_odds_against_it() -> None:
    index = LexicalIndex([RETURNS, FEES], [WEATHER])
    talk, question = index.overlap("明天下雨吗"), index.overlap("怎么退货呢")
    assert talk.background > max(talk.shares.values(), default=0)
    assert question.background < max(question.shares.values())
    assert talk.odds < 0 < question.odds


def test_a_text_that_shares_nothing_finds_nothing() -> None:
    index = LexicalIndex([RETURNS], [WEATHER])
    assert index.overlap("xyz").shares == {}
    assert index.overlap("").shares == {}
    assert LexicalIndex([], []).overlap("退货").shares == {}


def test_common_pieces_left_for_the_second_pass_change_no_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    documents = [(f"怎么退货 {number}", f"number{number}") for number in range(40)]
    index = LexicalIndex(documents, [WEATHER])
    whole = index.overlap("怎么退货 number7")
    monkeypatch.setattr("kefu.knowledge.lexical.POSTINGS", 5)
    first = index.overlap("怎么退货 number7")
    best = max(whole.shares, key=whole.shares.__getitem__)
    assert (best, first.shares[7]) == (7, pytest.approx(whole.shares[7]))


@given(st.text(max_size=300))
def test_any_text_is_ranked(text: str) -> None:
    groups = grouped([entry(1, question="怎么退货"), entry(2, question="how do i return it")])
    ranking = LexicalEngine(words_of(groups, [WEATHER])).rank(text)
    scores = [score for _, score in ranking.scores]
    assert scores == sorted(scores, reverse=True)


def test_entries_of_one_key_are_one_group_and_others_stand_alone() -> None:
    one, two, three = entry(1, "zh-CN", "fee"), entry(2, "en", "fee"), entry(3)
    assert grouped([three, two, one]) == ((one, two), (three,))


@pytest.mark.parametrize(
    ("text", "locale", "expected"),
    [
        ("怎么退货", None, "zh-CN"),
        ("怎麼退貨", None, "zh-TW"),
        ("怎麼退貨", "zh-CN", "zh-CN"),
        ("退货", "zh-Hant-HK", "zh-TW"),
        ("怎么退货", "en", "zh-CN"),
        ("how do I return it", "zh-CN", "en"),
        ("refund", "zh-CN", "zh-CN"),
        ("refund", None, "en"),
        ("12345", "zh_TW", "zh-TW"),
        ("comment", "fr", "en"),
    ],
)
def test_the_answer_is_in_the_language_of_the_text_or_of_the_page(
    text: str, locale: str | None, expected: str
) -> None:
    assert language(text, locale) == expected


def test_the_entry_in_the_asked_language_answers_else_the_next_best() -> None:
    simplified, traditional = entry(1, "zh-CN"), entry(2, "zh-TW")
    english, any_language = entry(3, "en"), entry(4)
    assert spoken((simplified, english), "en") == english
    assert spoken((simplified, traditional), "en") == simplified
    assert spoken((english, traditional), "zh-CN") == traditional
    assert spoken((english, any_language), "zh-CN") == any_language
    assert spoken((english, simplified), None) == english


@pytest.mark.parametrize(
    ("scores", "background", "expected"),
    [
        ((0.9, 0.1), 0.1, "sure"),
        ((0.9, 0.85), 0.1, "perhaps"),
        ((0.3, 0.1), 0.15, "perhaps"),
        ((0.3, 0.1), 0.5, "none"),
        ((), 0.0, "none"),
    ],
)
def test_one_is_sure_far_above_the_background_and_ahead_of_the_second(
    scores: tuple[float, ...], background: float, expected: str
) -> None:
    groups = grouped([entry(1), entry(2)])
    ranking = Ranking(tuple(enumerate(scores)), background)
    found = judge(groups, ranking, SCALE, None, 3)
    assert found.confidence == expected
    assert len(found.hits) == len(scores)


@given(
    scores=st.lists(st.floats(0, 2), min_size=1, max_size=5),
    background=st.floats(0, 2),
    odds=st.floats(-100, 100),
)
def test_hits_are_the_best_first_with_chances(
    scores: list[float], background: float, odds: float
) -> None:
    groups = grouped(entry(number) for number in range(len(scores)))
    ranked = tuple(sorted(enumerate(scores), key=lambda each: -each[1]))
    ranking = Ranking(ranked, background, odds)
    found = judge(groups, ranking, SCALE, None, 3)
    chances = [hit.score for hit in found.hits]
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)
    assert len(chances) == min(3, len(scores))
    is_answered = chance_of(ranked[0][1], ranking, SCALE) >= 0.5
    assert (found.confidence != "none") == is_answered


def test_the_very_words_of_an_entry_are_answered_with_it_for_sure() -> None:
    groups = grouped([entry(1, question="怎么退货？"), entry(2, question="怎么退货款")])
    engine = LexicalEngine(words_of(groups, [WEATHER]))
    found = judge(groups, engine.rank("怎麼退貨"), engine.scale, None, 1)
    assert (found.confidence, found.hits[0].answer, found.hits[0].score) == ("sure", "a1", 1.0)
    hits = judge(groups, engine.rank("怎么退货款!"), engine.scale, None, 3).hits
    assert [hit.answer for hit in hits] == ["a2", "a1"]


def test_the_floor_is_what_one_in_fifty_of_the_background_reaches() -> None:
    rankings = [Ranking(((0, number / 100),), background=0.1) for number in range(100)]
    scale = settled(SCALE, rankings)
    assert scale.floor == pytest.approx(10 * 0.97 - 10 * 0.1)
    assert chance_of(0.97, rankings[97], scale) < 0.5
    assert settled(SCALE, [Ranking()]) == SCALE


def test_a_knowledge_with_lower_scores_is_measured_by_a_lower_floor() -> None:
    few = grouped([entry(1, question="怎么退货")])
    many = grouped([entry(1, question="怎么退货 怎么 天气 今天 下雨 明天 吗 怎么样")])
    floors = [LexicalEngine(words_of(each, [WEATHER] * 20)).scale.floor for each in (few, many)]
    assert floors[0] < floors[1]
