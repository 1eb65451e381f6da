"""Access tokens for Coze: one for each session name, because Coze keeps customers apart by them.

Asking for one takes a signed JWT that may be used once: every request signs a new one. What Coze
calls `expires_in` is a time of day, not a length. A token is never logged and never leaves memory.
"""

import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest
from typing import Final, NamedTuple

import anyio
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from kefu.bot.http import Client, Reply, host_of, posted
from kefu.bot.options import CozeOptions
from kefu.bot.ports import BadCredentials, ProviderError, Rejected, Transient
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import KefuError

PATH: Final = "/api/permission/oauth2/token"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_TTL_S: Final = 600
JTI_BYTES: Final = 32
CAPACITY: Final = 10_000
MARGIN_S: Final = 60.0
MARGIN_SHARE: Final = 0.1
NO_KEY: Final = "COZE_OAUTH_PRIVATE_KEY is not a PEM file with an RSA private key."


class _Granted(Struct, frozen=True):
    """Both shapes of the answer. Coze's expires_in is seconds since the epoch."""

    access_token: str = ""
    expires_in: int = 0
    error_code: str | int | None = None


class _Kept(NamedTuple):
    access: str
    good_until: float


class CozeTokens:
    """At most one request at a time for each session; the least used token goes first."""

    def __init__(
        self,
        options: CozeOptions,
        key: RSAPrivateKey,
        client: Client,
        clock: Clock,
        entropy: Entropy,
        *,
        capacity: int = CAPACITY,
    ) -> None:
        self._options = options
        self._key = key
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._locks: dict[str, anyio.Lock] = {}

    @property
    def count(self) -> int:
        return len(self._kept)

    @property
    def capacity(self) -> int:
        return self._capacity

    async def get(self, session: str) -> str:
        """A token of this session, good for a while. Raises ProviderError."""
        async with self._alone(session):
            kept = self._kept.get(session)
            if kept is None or self._clock.monotonic() >= kept.good_until:
                kept = await self._mint(session)
                self._kept[session] = kept
            self._kept.move_to_end(session)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
            return kept.access

    async def probe(self, session: str) -> None:
        """Whether one can be had now, none kept. Raises ProviderError when not."""
        await self._mint(session)

    def forget(self, session: str, access: str) -> None:
        """Coze did not take this one; a newer one stays."""
        kept = self._kept.get(session)
        if kept is not None and compare_digest(kept.access, access):
            del self._kept[session]

    @asynccontextmanager
    async def _alone(self, session: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(session, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            statistics = lock.statistics()
            if not statistics.locked and not statistics.tasks_waiting:
                self._locks.pop(session, None)

    async def _mint(self, session: str) -> _Kept:
        asked_at = self._clock.monotonic()
        now_s = self._clock.now().timestamp()
        headers = {"Authorization": f"Bearer {self._signed(session, int(now_s))}"}
        body = {"grant_type": GRANT, "duration_seconds": self._options.token_ttl_s}
        url = self._options.api_base.rstrip("/") + PATH
        async with posted(self._client, url, body, headers) as reply:
            granted = _read(reply, await reply.small_body())
        life_s = max(0.0, min(granted.expires_in - now_s, self._options.token_ttl_s))
        margin_s = min(MARGIN_S, life_s * MARGIN_SHARE)
        return _Kept(granted.access_token, asked_at + life_s - margin_s)

    def _signed(self, session: str, now_s: int) -> str:
        claims = {
            "iss": self._options.oauth_client_id,
            "aud": host_of(self._options.api_base),
            "iat": now_s,
            "exp": now_s + JWT_TTL_S,
            "jti": self._entropy.token(JTI_BYTES),
            "session_name": session,
        }
        key_id = {"kid": self._options.oauth_public_key_id}
        return jwt.encode(claims, self._key, algorithm="RS256", headers=key_id)


def read_key(options: CozeOptions) -> RSAPrivateKey:
    """The private key of the text or the file. Raises KefuError when there is none."""
    if options.oauth_private_key is not None:
        # a PEM in one line, as env files hold it
        pem = options.oauth_private_key.reveal().replace("\\n", "\n")
    elif options.oauth_private_key_file is not None:
        try:
            pem = options.oauth_private_key_file.read_text()
        except (OSError, UnicodeDecodeError):
            raise KefuError("The file of COZE_OAUTH_PRIVATE_KEY_FILE cannot be read.") from None
    else:
        raise KefuError("Coze needs COZE_OAUTH_PRIVATE_KEY or COZE_OAUTH_PRIVATE_KEY_FILE.")
    try:
        key = load_pem_private_key(pem.strip().encode(), password=None)
    except (ValueError, TypeError):
        raise KefuError(NO_KEY) from None
    if not isinstance(key, RSAPrivateKey):
        raise KefuError(NO_KEY)
    return key


def _read(reply: Reply, body: bytes) -> _Granted:
    try:
        granted = msgspec.json.decode(body, type=_Granted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        granted = _Granted()
    if granted.access_token and granted.error_code is None:
        if not re.fullmatch(r"[!-~]{1,4096}", granted.access_token):
            raise Rejected("unusable_token")
        return granted
    raise _failure(reply, granted.error_code)


def _failure(reply: Reply, code: str | int | None) -> ProviderError:
    trace = reply.headers.get("x-tt-logid")
    if code is None:
        is_passing = reply.status in (408, 429) or reply.status >= 500
        kind: type[ProviderError] = Transient if is_passing else Rejected
        if reply.status in (401, 403):
            kind = BadCredentials
        return kind(f"token_http_{reply.status}", trace=trace)
    kind = Transient if code == "internal_error" else BadCredentials
    return kind(code, trace=trace)
