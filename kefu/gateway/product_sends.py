"""Product cards on their way into a chat: what a card shows, the shop must have.

It is looked up before the conversation hears of the card. A card that is sent again is let through
though its product may have gone since: it is in the chat already, and its sender waits for the
receipt.
"""

from uuid import UUID

from msgspec.structs import replace

from kefu.errors import Problem
from kefu.gateway.ports import Backstage
from protocol.codes import ErrorCode
from protocol.customer import OutgoingMessage


async def checked(
    backstage: Backstage, sent: OutgoingMessage, *, sender: UUID, customer: UUID
) -> OutgoingMessage:
    """The card under the product's id as kefu writes it. Raises Problem, StoreUnavailable."""
    product_id = _id(sent.content)
    if await backstage.find_product(product_id) is None:
        key = sent.client_message_id
        if key is None or not await _was_sent(backstage, sender, customer, key):
            raise Problem(ErrorCode.PRODUCT_NOT_FOUND)
    return replace(sent, content=str(product_id))


async def _was_sent(backstage: Backstage, sender: UUID, customer: UUID, key: str) -> bool:
    sends = await backstage.chats.keys(customer)
    return any((by, known) == (sender, key) for by, known, _message in sends)


def _id(content: str) -> UUID:
    try:
        return UUID(content)
    except ValueError:
        raise Problem(ErrorCode.PRODUCT_NOT_FOUND) from None
