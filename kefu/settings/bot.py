"""The settings of the bot: who answers first, with which account, and how much it may do."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from kefu.secret import Secret

_Text = Annotated[str, Meta(max_length=255)]
_LongText = Annotated[str, Meta(max_length=2000)]


class BotSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers first. What a provider needs is asked for only when it is the one chosen."""

    ai_provider: Annotated[
        Literal["knowledge", "coze", "dashscope", "openai", "none"],
        Meta(
            description="Who answers first: the shop's own knowledge, a Coze workflow, DashScope, "
            "anything that speaks OpenAI's API, or nobody: people do."
        ),
    ] = "knowledge"
    bot_name: Annotated[
        str,
        Meta(
            min_length=1, max_length=100, description="The name customers see on the bot's answers."
        ),
    ] = "kefu"
    bot_icon_url: Annotated[
        _LongText | None, Meta(description="The picture beside the bot's answers.")
    ] = None
    bot_description: Annotated[
        _LongText | None, Meta(description="What the bot says that it is for.")
    ] = None
    bot_welcome: Annotated[
        _LongText | None,
        Meta(description="The bot's first words in a new chat; not set: kefu's own."),
    ] = None

    coze_api_base: Annotated[
        str, Meta(max_length=255, description="The address of Coze's API.")
    ] = "https://api.coze.cn"
    coze_workflow_id: Annotated[
        _Text | None, Meta(description="The Coze workflow that answers.")
    ] = None
    coze_app_id: Annotated[
        _Text | None, Meta(description="The Coze app that the workflow belongs to.")
    ] = None
    coze_oauth_client_id: Annotated[
        _Text | None, Meta(description="The id of the OAuth app that asks Coze for tokens.")
    ] = None
    coze_oauth_public_key_id: Annotated[
        _Text | None, Meta(description="The fingerprint Coze shows for the OAuth app's public key.")
    ] = None
    coze_oauth_private_key: Annotated[
        Secret | None,
        Meta(description="The OAuth app's private key as PEM text; it comes before the file."),
    ] = None
    coze_oauth_private_key_file: Annotated[
        Path | None, Meta(description="The PEM file that holds the OAuth app's private key.")
    ] = None
    coze_session_name_in_body: Annotated[
        bool,
        Meta(
            description="Whether the customer's session name is in the calls to Coze as well as in "
            "the token they are made with."
        ),
    ] = True
    coze_token_ttl_s: Annotated[
        int, Meta(ge=60, le=86_399, description="Seconds for which Coze is asked to make a token.")
    ] = 3_600

    dashscope_api_base: Annotated[
        str, Meta(max_length=255, description="The address of DashScope's API.")
    ] = "https://dashscope.aliyuncs.com"
    dashscope_api_key: Annotated[
        Secret | None, Meta(description="The key DashScope is called with.")
    ] = None
    dashscope_model: Annotated[
        str, Meta(min_length=1, max_length=255, description="The DashScope model that answers.")
    ] = "qwen-turbo"

    openai_base_url: Annotated[
        str,
        Meta(
            max_length=255,
            description="The address of OpenAI's API, or of anything that speaks it.",
        ),
    ] = "https://api.openai.com/v1"
    openai_api_key: Annotated[
        Secret | None,
        Meta(description="The key it is called with; only OpenAI itself always wants one."),
    ] = None
    openai_model: Annotated[
        str, Meta(min_length=1, max_length=255, description="The model that answers there.")
    ] = "gpt-4o-mini"

    bot_turns_per_minute: Annotated[
        int, Meta(ge=1, le=10_000, description="Questions a minute one customer may ask the bot.")
    ] = 20
    bot_turns_per_minute_vip: Annotated[
        int, Meta(ge=1, le=10_000, description="The same for a customer who is a VIP.")
    ] = 100
    bot_context_turns: Annotated[
        int, Meta(ge=0, le=50, description="Earlier questions with their answers the bot is told.")
    ] = 10
    bot_context_tokens: Annotated[
        int, Meta(ge=100, le=1_000_000, description="The most tokens, about, it is told of them.")
    ] = 3_000
    max_streams_per_person: Annotated[
        int, Meta(ge=1, le=100, description="Answers one customer may have streamed at once.")
    ] = 3
    max_streams_per_address: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Answers one network address may have streamed at once."),
    ] = 30
    max_calls_per_address: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Calls a minute that one address may make without a token or a guest's "
            "cookie, over all instances.",
        ),
    ] = 1_200
    max_streams: Annotated[
        int, Meta(ge=1, le=100_000, description="Answers streamed at once, per instance.")
    ] = 1_000
