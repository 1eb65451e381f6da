"""The settings of what leaves kefu for people who are not looking: letters, and robots of teams."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from kefu.secret import Secret, SecretHook

_Text = Annotated[str, Meta(max_length=255)]


class NotificationSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where letters and alerts go. Whatever is not set is not told."""

    smtp_host: Annotated[
        _Text | None, Meta(description="The server that sends letters; not set: none are sent.")
    ] = None
    smtp_port: Annotated[int, Meta(ge=1, le=65_535, description="The port of that server.")] = 587
    smtp_username: Annotated[
        _Text | None, Meta(description="Who signs in to it; not set: nobody does.")
    ] = None
    smtp_password: Annotated[
        Secret | None, Meta(description="The password that signs in to it.")
    ] = None
    smtp_use_tls: Annotated[
        bool, Meta(description="Whether letters are handed over only on an encrypted connection.")
    ] = True
    email_from: Annotated[
        _Text | None,
        Meta(description="The address letters come from; not set: the name that signs in."),
    ] = None
    email_from_name: Annotated[
        str, Meta(max_length=100, description="The name letters come from.")
    ] = "kefu"
    email_recipients: Annotated[
        tuple[_Text, ...],
        Meta(max_length=50, description="The addresses of the shop's people who get the letters."),
    ] = ()
    mail_locale: Annotated[
        Literal["zh-CN", "zh-TW", "en"], Meta(description="The language of letters and alerts.")
    ] = "zh-CN"

    wecom_webhook_url: Annotated[
        SecretHook | None, Meta(description="The robot of a WeCom group that gets alerts.")
    ] = None
    dingtalk_webhook_url: Annotated[
        SecretHook | None, Meta(description="The robot of a DingTalk group that gets alerts.")
    ] = None
    dingtalk_secret: Annotated[
        Secret | None, Meta(description="What alerts to that robot are signed with, when set.")
    ] = None
    feishu_webhook_url: Annotated[
        SecretHook | None, Meta(description="The robot of a Feishu group that gets alerts.")
    ] = None
    feishu_secret: Annotated[
        Secret | None, Meta(description="What alerts to that robot are signed with, when set.")
    ] = None
    slack_webhook_url: Annotated[
        SecretHook | None, Meta(description="The Slack webhook that gets alerts.")
    ] = None

    alert_wait_s: Annotated[
        int,
        Meta(ge=10, le=86_400, description="Seconds a customer waits before an alert says so."),
    ] = 600
    alert_repeat_s: Annotated[
        int,
        Meta(
            ge=10, le=86_400, description="Seconds until an alert that still holds is told again."
        ),
    ] = 900
    alert_error_rate: Annotated[
        float, Meta(ge=0, le=1, description="The share of failures from which an alert says so.")
    ] = 0.05
    alert_latency_s: Annotated[
        float,
        Meta(ge=0.01, le=600, description="Seconds an answer takes before an alert says so."),
    ] = 2.0
