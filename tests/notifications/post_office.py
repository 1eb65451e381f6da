"""A real SMTP server on a free port that can be told to misbehave, and certificates for it."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
USER, PASSWORD = "shop@shop.example", "a mail password"
Mischief = Literal["cut after data", "hang after data", "cut before data"]


@dataclass
class PostOffice:
    """`codes` are answers to give instead of a good one, by command or by recipient; each is given
    once when it stands in a list. `mischief` is done to the next mails, one by one."""

    port: int = 0
    codes: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    mischief: list[Mischief] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    is_encrypted: list[bool] = field(default_factory=list)

    def mails(self) -> list[EmailMessage]:
        """What has arrived, each as a mail program reads it. No property: the server would read it
        for every connection."""
        return [message_from_bytes(raw, policy=default) for raw in self.raw]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mischief[:1] == ["cut before data"]:
            self.mischief.pop()
            _cut(server)
        answer = self._answer("MAIL")
        if answer is None:
            envelope.mail_from = address
        return answer or "250 fine"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.refused.get(address) or self._answer(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._answer("DATA")
        if answer is not None:
            return answer
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        self.envelopes.append(envelope)
        is_tls_first = _transport(server).get_extra_info("ssl_object") is not None
        self.is_encrypted.append(is_tls_first or session.ssl is not None)
        match self.mischief.pop(0) if self.mischief else None:
            case "cut after data":
                _cut(server)
            case "hang after data":
                await asyncio.Event().wait()
        return "250 taken"

    def sign_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        is_right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        if is_right:
            self.signed_in.append(given.login.decode())
        return AuthResult(success=is_right, handled=False)

    def _answer(self, command: str) -> str | None:
        left = self.codes.get(command)
        return left.pop(0) if left else None


def _cut(server: SMTP) -> None:
    _transport(server).abort()


def _transport(server: SMTP) -> asyncio.Transport:
    assert isinstance(server.transport, asyncio.Transport)
    return server.transport


@asynccontextmanager
async def post_office(
    *, tls: Literal["none", "starttls", "first"] = "none", with_login: bool = False
) -> AsyncIterator[PostOffice]:
    """One that serves until the end of the block."""
    office, loop = PostOffice(), asyncio.get_running_loop()
    context = server_context() if tls != "none" else None

    def answer() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # signing in without TLS is what is tried
            return made()

    def made() -> SMTP:
        return SMTP(
            office,
            hostname="mx.test",
            loop=loop,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            authenticator=office.sign_in if with_login else None,
            auth_required=with_login,
            auth_require_tls=False,
        )

    ssl_first = context if tls == "first" else None
    server = await loop.create_server(answer, HOST, 0, ssl=ssl_first)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        server.close()


@cache
def certificate() -> tuple[bytes, bytes]:
    """A certificate for 127.0.0.1 that signed itself, and its key; both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.test")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    return (
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        both = Path(folder) / "both.pem"
        both.write_bytes(b"".join(certificate()))
        context.load_cert_chain(both)
    return context


def client_context() -> ssl.SSLContext:
    """Trusts the post office and nobody else."""
    return ssl.create_default_context(cadata=certificate()[0].decode())
