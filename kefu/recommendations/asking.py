"""Asking a shard, wherever it lives; that it cannot answer is a `Problem` to come back from."""

from typing import Any, Final, TypeVar

from actors import ActorError, Ref, Request
from kefu.errors import Problem
from protocol.codes import ErrorCode

WITHIN_S: Final = 5.0
RETRY_AFTER_S: Final = 1.0
R = TypeVar("R")


async def ask(ref: Ref[Any], message: Request[R]) -> R:
    """Raises Problem(OVERLOADED): whether it was done is unknown; asked again it is done once."""
    try:
        return await ref.ask(message, within=WITHIN_S)
    except ActorError:
        raise Problem(ErrorCode.OVERLOADED, retry_after_s=RETRY_AFTER_S) from None
