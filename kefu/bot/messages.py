"""What others may ask of the bot: one answer to one question. Whoever asks decides what is shown.

The bot never raises for a provider that is down, slow, lying or cut short: that is an answer, too.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol
from uuid import UUID

from msgspec import Struct

from kefu.knowledge.messages import Source

Outcome = Literal["answered", "unknown", "stood_in", "failed"]
PRODUCTS_MOST: Final = 3


class Said(Struct, frozen=True):
    """An earlier message of the same chat. `at` is seconds since the epoch."""

    by: Literal["customer", "bot"]
    content: str
    at: float


class Question(Struct, frozen=True):
    """`text` is what is to be answered now. `read_earlier` reads what was said before it, the
    oldest first, and never raises; None where that is nothing.

    `session` is the customer's name with the provider, which keeps customers apart by it: the
    `sub` of their token or the facade's session name. `turn_id` names the turn in logs. `viewer`
    is the customer under whose id their views of products are counted.
    """

    turn_id: UUID
    session: str
    text: str
    read_earlier: Callable[[], Awaitable[tuple[Said, ...]]] | None = None
    locale: str | None = None
    viewer: UUID | None = None


class Answer(Struct, frozen=True):
    """What the customer is to read, always at least a sentence.

    answered   a good answer
    unknown    the bot says that it does not know
    stood_in   the provider failed and the shop's knowledge answered in its place
    failed     the provider failed; `text` is kefu's own friendly sentence

    All but the first count as failures for the escalation rules. What was given to `say` before is
    the beginning of `text`, unless the outcome is "failed". `is_cut`: the provider broke off in the
    middle, and the text ends there. `sources` are for agents. `products` are shown as cards behind
    the text, at most PRODUCTS_MOST of them, and none behind kefu's own sentence.
    """

    text: str
    outcome: Outcome
    sources: tuple[Source, ...] = ()
    is_cut: bool = False
    products: tuple[UUID, ...] = ()


class Bot(Protocol):
    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        """Answer within the turn's deadline. `say` is given each piece as it comes, at once.

        Cancelled when nobody wants the answer any more: nothing is said after that.
        """
        ...


class Contexts(Protocol):
    """Which conversation with the provider a session is in. An id is the provider's own, and each
    session has its own; what was said in an earlier one is no longer known to the bot."""

    async def new(self, session: str) -> str:
        """Begin another conversation: its id.

        Raises Problem OVERLOADED when the provider cannot make one now, and StoreUnavailable.
        """
        ...

    async def clear(self, session: str) -> str:
        """Forget what was said until now, and begin another: its id. Raises as `new`."""
        ...
