"""Whether a waiting customer's matter is pressing, as far as the chat itself tells. Pure."""

from typing import Final

from kefu.conversations.chat import Chat

WORDS: Final = ("投诉", "投訴", "退款", "质量问题", "品質問題", "差评", "差評", "赔偿", "賠償")


def is_pressing(chat: Chat) -> bool:
    """They were with a human before and are back, or their topic or reason says it is urgent."""
    said = f"{chat.topic or ''} {chat.reason or ''}"
    return chat.served_by is not None or any(word in said for word in WORDS)
