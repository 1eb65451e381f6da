"""Greetings, thanks and goodbyes: no question, so neither unknown nor to be looked up."""

import re
from typing import Final

from kefu.bot import texts

LONGEST: Final = 24
_NOISE: Final = re.compile(r"[\W_]+")
_GREETINGS: Final = frozenset(
    "你好 您好 你们好 你們好 哈喽 哈囉 嗨 在吗 在嗎 在么 有人吗 有人嗎 早上好 早安 下午好 晚上好 "
    "午安 hello hi hey hithere hellothere goodmorning goodafternoon goodevening goodday".split()
)
_THANKS: Final = frozenset(
    "谢谢 謝謝 谢谢你 謝謝你 谢谢您 謝謝您 多谢 多謝 感谢 感謝 非常感谢 非常感謝 太感谢 好的谢谢 "
    "好的謝謝 thanks thankyou thankyouverymuch thanksalot manythanks thx okthanks".split()
)
_GOODBYES: Final = frozenset(
    "再见 再見 拜拜 拜 88 回头见 没事 沒事 没有 沒有 晚安 bye goodbye seeyou thatsall".split()
)
_TAIL: Final = re.compile(r"[啊呀哦喔哈呢了啦哟]+$")
_SAID_BACK: Final = (
    (_GREETINGS, texts.GREETED),
    (_THANKS, texts.THANKED),
    (_GOODBYES, texts.TAKEN_LEAVE),
)


def answer_to(text: str) -> texts.Texts | None:
    """What is said back; None when the text is more than a courtesy."""
    if len(text) > LONGEST:
        return None
    words = _NOISE.sub("", text.lower())
    for known, said in _SAID_BACK:
        if words in known or _TAIL.sub("", words) in known:
            return said
    return None
