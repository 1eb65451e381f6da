"""What an account with each provider needs; the fields are named as the settings are."""

from pathlib import Path

from msgspec import Struct

from kefu.secret import Secret


class CozeOptions(Struct, frozen=True, kw_only=True):
    """The private key comes as PEM text or as the file that holds it; the text goes first."""

    workflow_id: str
    app_id: str
    oauth_client_id: str
    oauth_public_key_id: str
    oauth_private_key: Secret | None = None
    oauth_private_key_file: Path | None = None
    api_base: str = "https://api.coze.cn"
    session_name_in_body: bool = True
    token_ttl_s: int = 3600


class DashscopeOptions(Struct, frozen=True, kw_only=True):
    api_key: Secret
    api_base: str = "https://dashscope.aliyuncs.com"
    model: str = "qwen-turbo"


class OpenaiOptions(Struct, frozen=True, kw_only=True):
    """A server in the shop's own house may want no key."""

    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key: Secret | None = None


class Limits(Struct, frozen=True, kw_only=True):
    """How long one answer may take, how often it is tried, and how much it may say and know."""

    turn_s: float = 60.0
    attempts: int = 3
    answer_chars: int = 8_000
    context_turns: int = 10
    context_tokens: int = 3_000
