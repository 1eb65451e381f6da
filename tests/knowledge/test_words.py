"""Texts as they are compared: scripts, widths, pieces."""

from hypothesis import given
from hypothesis import strategies as st

from kefu import folding
from kefu.folding import folded, is_traditional
from kefu.knowledge.grams import grams, normal, question_key, readable


def can_write(character: str, charset: str) -> bool:
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def test_the_pairs_are_of_a_traditional_and_a_simplified_character() -> None:
    """By two judges that were not asked when the list was written: the standard character sets."""
    pairs = list(zip(folding._PAIRS[::2], folding._PAIRS[1::2], strict=True))
    wrong = [
        (old, new)
        for old, new in pairs
        if can_write(old, "gb2312") or not can_write(old, "big5") or not can_write(new, "gb2312")
    ]
    assert wrong == []
    assert len(dict(pairs)) == len(pairs) > 1000


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert len(folded(text)) == len(text)


def test_traditional_and_simplified_are_the_same_question() -> None:
    assert question_key("訂單運費怎麼算？") == question_key("订单运费怎么算")
    assert grams("可以退貨嗎") == grams("可以退货吗")
    assert is_traditional("退貨") is True
    assert is_traditional("退货") is False


def test_a_text_is_its_characters_their_pairs_its_words_and_their_ends() -> None:
    assert grams("怎么退") == {"怎": 1, "么": 1, "退": 1, "怎么": 1, "么退": 1}
    assert grams("Returning a TENT") == {" returning": 1, "~retu": 1, " a": 1, " tent": 1}
    assert grams("USB-C充电") == {" usb": 1, " c": 1, "充": 1, "电": 1, "充电": 1}
    assert grams("?! 🙂 ……") == {}


def test_width_and_case_and_punctuation_do_not_tell_questions_apart() -> None:
    assert question_key("ＡＢＣ, 运费？") == question_key("abc运费!")
    assert normal("ＯＫ") == "ok"
    assert question_key("——") == ""


@given(st.text(alphabet=st.characters()))
def test_every_text_can_be_read(text: str) -> None:
    read = readable(text)
    assert len(read) <= 200
    assert "\0" not in read
    read.encode()
    grams(read)
