"""What the bot says of its own accord, in the customer's language. Everything else is the shop's
or the provider's."""

from typing import Final

from kefu.languages import Language, language

Texts = dict[Language, str]

FAILED: Final[Texts] = {
    "zh-CN": "抱歉，智能助手暂时遇到了一点问题，请稍后再试；您也可以随时转人工客服。",
    "zh-TW": "抱歉，智慧助理暫時遇到了一點問題，請稍後再試；您也可以隨時轉接真人客服。",
    "en": "Sorry, the assistant has a problem right now. Please try again in a moment, or ask for "
    "a human agent at any time.",
}
UNKNOWN: Final[Texts] = {
    "zh-CN": "抱歉，这个问题我还不清楚。您可以换个说法再问一次，或者我为您转人工客服？",
    "zh-TW": "抱歉，這個問題我還不清楚。您可以換個說法再問一次，或者我為您轉接真人客服？",
    "en": "Sorry, I do not know the answer to that. You could put it another way, or shall I get "
    "you a human agent?",
}
REFUSED: Final[Texts] = {
    "zh-CN": "抱歉，这个问题我不方便回答。如有需要，我可以为您转人工客服。",
    "zh-TW": "抱歉，這個問題我不方便回答。如有需要，我可以為您轉接真人客服。",
    "en": "Sorry, that is something I cannot answer. I can get you a human agent if you like.",
}
OVERLONG: Final[Texts] = {
    "zh-CN": "抱歉，这段内容太长了，我无法一次读完。请用简短的话再问一次，或者我为您转人工客服？",
    "zh-TW": "抱歉，這段內容太長了，我無法一次讀完。請用簡短的話再問一次，或者我為您轉接真人客服？",
    "en": "Sorry, that is too long for me to read at once. Please ask again in fewer words, or "
    "shall I get you a human agent?",
}
IS_THIS_IT: Final[Texts] = {
    "zh-CN": "这是您想问的吗？",
    "zh-TW": "這是您想問的嗎？",
    "en": "Is this what you meant?",
}
OR_RATHER: Final[Texts] = {
    "zh-CN": "您也可能想问：",
    "zh-TW": "您也可能想問：",
    "en": "Or perhaps:",
}
GREETED: Final[Texts] = {
    "zh-CN": "您好！请问有什么可以帮您？",
    "zh-TW": "您好！請問有什麼可以幫您？",
    "en": "Hello! How can I help you?",
}
THANKED: Final[Texts] = {
    "zh-CN": "不客气！还有其他可以帮您的吗？",
    "zh-TW": "不客氣！還有其他可以幫您的嗎？",
    "en": "You are welcome! Is there anything else I can help with?",
}
TAKEN_LEAVE: Final[Texts] = {
    "zh-CN": "感谢您的咨询，祝您生活愉快，再见！",
    "zh-TW": "感謝您的諮詢，祝您生活愉快，再見！",
    "en": "Thank you for getting in touch. Goodbye!",
}

FOUND: Final[Texts] = {
    "zh-CN": "为您找到了这些商品：{names}。",
    "zh-TW": "為您找到了這些商品：{names}。",
    "en": "Here is what I found for you: {names}.",
}
MAY_LIKE: Final[Texts] = {
    "zh-CN": "这些商品您可能会喜欢：{names}。",
    "zh-TW": "這些商品您可能會喜歡：{names}。",
    "en": "You may like these: {names}.",
}
BETWEEN: Final[Texts] = {"zh-CN": "、", "zh-TW": "､", "en": ", "}


# What the bot says where it has no answer.
WITHOUT_ANSWER: Final = frozenset(
    text for texts in (FAILED, UNKNOWN, REFUSED, OVERLONG) for text in texts.values()
)


def said(texts: Texts, locale: str | None) -> str:
    return texts[language(locale)]
