"""What the engine asks of a provider, and every way in which one can fail.

The classes say what is to be done, not what happened: each provider translates its own codes into
them. `code` is the provider's word for it and goes to the log; its sentences go nowhere.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar, Literal, Protocol

from msgspec import Struct

from kefu.bot.messages import Said
from kefu.knowledge.messages import Hit


class Ask(Struct, frozen=True):
    """One turn, as a provider is asked. `hits` is what the shop's knowledge holds about it.

    `is_new`: the provider has lost the conversation that held `earlier`; this one is empty.
    """

    session: str
    conversation_id: str
    text: str
    earlier: tuple[Said, ...] = ()
    hits: tuple[Hit, ...] = ()
    locale: str | None = None
    is_new: bool = False


class Line(Struct, frozen=True):
    """One message of what a language model is shown."""

    role: Literal["system", "user", "assistant"]
    content: str


class Usage(Struct):
    """Tokens a provider has counted since the start."""

    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, input_tokens: int | None, output_tokens: int | None) -> None:
        self.input_tokens += max(0, input_tokens or 0)
        self.output_tokens += max(0, output_tokens or 0)


class Provider(Protocol):
    @property
    def usage(self) -> Usage: ...

    def stream(self, ask: Ask) -> AsyncGenerator[str, None]:
        """The answer, piece by piece as it comes. Closing it closes the upstream stream.

        Raises ProviderError; an end without one is the end of a whole answer.
        """
        ...


class Context(Struct, frozen=True):
    """The conversation a session is in; the id is empty where it needs none. What was said before
    `since` (seconds since the epoch) is no longer known to the bot."""

    conversation_id: str
    since: float


class Conversations(Protocol):
    async def current(self, session: str, *, is_first: bool = False) -> Context:
        """The session's conversation, made now if it needs one and has none. `is_first`: nothing
        was said before, so it does not matter since when that counts.

        Raises ProviderError and StoreUnavailable.
        """
        ...

    async def renew(self, session: str, lost: Context) -> None:
        """The provider has lost the conversation: make another; what was said still counts.

        Raises ProviderError and StoreUnavailable.
        """
        ...


class Writer(Protocol):
    """A language model that does what the lines say."""

    @property
    def usage(self) -> Usage: ...

    def write(self, lines: Sequence[Line]) -> AsyncGenerator[str, None]:
        """As `Provider.stream`."""
        ...


class ProviderError(Exception):
    """No answer, or the end of half an answer. Never retried as it is."""

    is_retryable: ClassVar[bool] = False
    is_failure: ClassVar[bool] = True
    """Whether it speaks against the provider's health."""
    opens_breaker: ClassVar[bool] = False

    def __init__(
        self, code: object, *, retry_after_s: float | None = None, trace: str | None = None
    ) -> None:
        self.code = str(code)[:80]
        self.retry_after_s = retry_after_s
        self.trace = trace
        """The id under which the provider's own log has it."""
        super().__init__(self.code)


class Transient(ProviderError):
    """Busy, unreachable or broken off: another try may succeed, not before `retry_after_s`."""

    is_retryable = True


class Rejected(ProviderError):
    """Asked wrongly, or set up wrongly: the next try would fail the same way."""


class BadCredentials(ProviderError):
    """The key is not, or no longer, good."""


class Exhausted(ProviderError):
    """The account is out of quota or money, or barred: nothing will work until somebody acts."""

    opens_breaker = True


class Unfit(ProviderError):
    """The provider is well, and will not answer this very question."""

    is_failure = False


class Refused(Unfit):
    """Its filter has stopped the question or the answer."""


class Overlong(Unfit):
    """The question with its context is too long for it."""


class Shortened(Unfit):
    """The answer reached the model's own length limit and ends in the middle."""


class LostConversation(Unfit):
    """The provider does not know the conversation any more: a new one is needed."""
