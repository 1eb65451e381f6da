"""What the settings say about mail, robots and alerts; each field is named like its setting."""

from typing import Final

from msgspec import Struct

from kefu.languages import Language
from kefu.secret import Secret

TLS_PORT: Final = 465  # spoken to in TLS from the first byte on; every other port by STARTTLS


class MailOptions(Struct, frozen=True, kw_only=True):
    """Where mails go and how. `mail_locale` None: each in its customer's language."""

    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_username: str | None = None
    smtp_password: Secret | None = None
    smtp_use_tls: bool = True
    email_from: str | None = None
    email_from_name: str = "kefu"
    email_recipients: tuple[str, ...] = ()
    mail_locale: Language | None = None

    @property
    def sender(self) -> str | None:
        """The address mails come from."""
        return self.email_from or self.smtp_username

    @property
    def missing(self) -> str | None:
        """The first setting without which no mail can go out; None when all are there."""
        if self.smtp_host is None:
            return "SMTP_HOST"
        if self.sender is None or "@" not in self.sender:
            return "EMAIL_FROM"
        return None if self.email_recipients else "EMAIL_RECIPIENTS"


class RobotOptions(Struct, frozen=True, kw_only=True):
    """The robots of the team's groups. Their addresses hold their secrets."""

    wecom_webhook_url: Secret | None = None
    dingtalk_webhook_url: Secret | None = None
    dingtalk_secret: Secret | None = None
    feishu_webhook_url: Secret | None = None
    feishu_secret: Secret | None = None
    slack_webhook_url: Secret | None = None


class AlertOptions(Struct, frozen=True, kw_only=True):
    """From where on the team is told. `mail_locale` is the language of alerts."""

    alert_wait_s: float = 600
    alert_repeat_s: float = 900
    alert_error_rate: float = 0.05
    alert_latency_s: float = 2.0
    mail_locale: Language | None = None
