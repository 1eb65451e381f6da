"""Messages as words, for whoever can only read: the bot, and summaries.

A picture cannot be read; that there was one can. A product's card is read as the product's name:
where that cannot be found in time, too, only that there was one.
"""

import logging
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import anyio
from msgspec import Struct

from kefu.conversations.ports import FindProduct
from kefu.storage.errors import StoreUnavailable
from protocol.server import Message

NAMES_WITHIN_S: Final = 1.0
IMAGE: Final = "[image]"
PRODUCT: Final = "[product]"
log = logging.getLogger("kefu.conversations")


class Wording(Struct, frozen=True):
    """`names` are those of products, by their id as messages hold it."""

    names: dict[str, str] = {}

    def words(self, message: Message) -> str:
        match message.message_type:
            case "image":
                return IMAGE
            case "product":
                return self.names.get(message.content, PRODUCT)
            case _:
                return message.content


async def wording_of(messages: Iterable[Message], find: FindProduct) -> Wording:
    """With the names of all products that are found in time."""
    names: dict[str, str] = {}
    shown = dict.fromkeys(m.content for m in messages if m.message_type == "product")
    try:
        with anyio.move_on_after(NAMES_WITHIN_S):
            for content in shown:
                card = await find(UUID(content))
                if card is not None:
                    names[content] = card.name
    except StoreUnavailable:
        log.warning("product_names_unavailable")
    except Exception:  # a name is not worth an answer
        log.exception("product_names_failed")
    return Wording(names)
