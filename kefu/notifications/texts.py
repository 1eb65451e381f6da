"""What mails and alerts say, in each of kefu's languages."""

from typing import Final

from msgspec import Struct

from kefu.languages import Language, language


class Words(Struct, frozen=True):
    """One language. The braces are filled in; what fills them is escaped where it is shown."""

    subject_escalated: str
    subject_waiting: str
    subject_address: str
    subject_requested: str
    intro_escalated: str
    intro_waiting: str
    intro_address: str
    intro_requested: str
    reply_directly: str
    no_address: str
    customer: str
    nameless: str
    email: str
    asked_at: str
    reason: str
    severity: str
    details: str
    back_at: str
    chat: str
    transcript: str
    left_out: str
    nothing_said: str
    customer_says: str
    agent_says: str
    bot_says: str
    system_says: str
    yes_vip: str
    colon: str
    seconds: str
    minutes: str
    digest: str
    cleared: str
    alert_waiting: str
    alert_nobody: str
    alert_errors: str
    alert_latency: str
    over_waiting: str
    over_nobody: str
    over_errors: str
    over_latency: str
    reasons: dict[str, str]
    severities: dict[str, str]


_ZH_CN: Final = Words(
    subject_escalated="【非工作时间】顾客 {name} 请求人工服务",
    subject_waiting="【排队中】顾客 {name} 留下了邮箱",
    subject_address="【补充邮箱】顾客 {name} 留下了邮箱",
    subject_requested="顾客 {name} 的聊天记录",
    intro_escalated="顾客在非人工服务时间请求人工服务。",
    intro_waiting="顾客在排队等待时留下了邮箱。",
    intro_address="顾客在此前的请求之后留下了邮箱，聊天记录见上一封邮件。",
    intro_requested="以下是您请求的聊天记录。",
    reply_directly="直接回复本邮件即可联系顾客。",
    no_address="顾客没有留下邮箱。",
    customer="顾客",
    nameless="未署名顾客",
    email="邮箱",
    asked_at="时间",
    reason="原因",
    severity="优先级",
    details="详情",
    back_at="人工上线时间",
    chat="会话编号",
    transcript="聊天记录",
    left_out="（更早的 {count} 条消息未列出）",
    nothing_said="（还没有消息）",
    customer_says="顾客",
    agent_says="客服",
    bot_says="智能助手",
    system_says="系统",
    yes_vip="VIP",
    colon="：",
    seconds="{count} 秒",
    minutes="{count} 分钟",
    digest="{count} 条通知：",
    cleared="【已恢复】",
    alert_waiting="【告警】有 {count} 位顾客在等待，最久已等 {wait}（阈值 {limit}）。",
    alert_nobody="【告警】现在是人工服务时间，有 {count} 位顾客在等待，但没有客服在线。",
    alert_errors="【告警】请求失败率为 {value}（阈值 {limit}）。",
    alert_latency="【告警】响应时间为 {value}（阈值 {limit}）。",
    over_waiting="不再有顾客等待过久。",
    over_nobody="已有客服在线，或已无人等待。",
    over_errors="请求失败率已恢复正常。",
    over_latency="响应时间已恢复正常。",
    reasons={
        "keyword": "顾客的话中含有关键词",
        "fail_loop": "智能助手连续未能解答",
        "vip": "VIP 顾客",
        "sentiment": "顾客情绪不佳",
        "manual": "顾客主动请求",
    },
    severities={"high": "高", "low": "低"},
)
_ZH_TW: Final = Words(
    subject_escalated="【非服務時間】顧客 {name} 請求真人服務",
    subject_waiting="【排隊中】顧客 {name} 留下了電子郵件",
    subject_address="【補充郵件地址】顧客 {name} 留下了電子郵件",
    subject_requested="顧客 {name} 的對話紀錄",
    intro_escalated="顧客在非真人服務時間請求真人服務。",
    intro_waiting="顧客在排隊等待時留下了電子郵件。",
    intro_address="顧客在先前的請求之後留下了電子郵件，對話紀錄請見上一封郵件。",
    intro_requested="以下是您要求的對話紀錄。",
    reply_directly="直接回覆本郵件即可聯絡顧客。",
    no_address="顧客沒有留下電子郵件。",
    customer="顧客",
    nameless="未署名顧客",
    email="電子郵件",
    asked_at="時間",
    reason="原因",
    severity="優先順序",
    details="詳情",
    back_at="真人上線時間",
    chat="對話編號",
    transcript="對話紀錄",
    left_out="（更早的 {count} 則訊息未列出）",
    nothing_said="（還沒有訊息）",
    customer_says="顧客",
    agent_says="客服",
    bot_says="智慧助理",
    system_says="系統",
    yes_vip="VIP",
    colon="：",
    seconds="{count} 秒",
    minutes="{count} 分鐘",
    digest="{count} 則通知：",
    cleared="【已恢復】",
    alert_waiting="【警示】有 {count} 位顧客在等待，最久已等 {wait}（門檻 {limit}）。",
    alert_nobody="【警示】現在是真人服務時間，有 {count} 位顧客在等待，但沒有客服在線。",
    alert_errors="【警示】請求失敗率為 {value}（門檻 {limit}）。",
    alert_latency="【警示】回應時間為 {value}（門檻 {limit}）。",
    over_waiting="不再有顧客等待過久。",
    over_nobody="已有客服在線，或已無人等待。",
    over_errors="請求失敗率已恢復正常。",
    over_latency="回應時間已恢復正常。",
    reasons={
        "keyword": "顧客的話中含有關鍵字",
        "fail_loop": "智慧助理連續未能解答",
        "vip": "VIP 顧客",
        "sentiment": "顧客情緒不佳",
        "manual": "顧客主動請求",
    },
    severities={"high": "高", "low": "低"},
)
_EN: Final = Words(
    subject_escalated="[After hours] {name} asked for a person",
    subject_waiting="[In the queue] {name} left an e-mail address",
    subject_address="[Address added] {name} left an e-mail address",
    subject_requested="The chat with {name}",
    intro_escalated="A customer asked for a person while nobody was on duty.",
    intro_waiting="A customer who is waiting in the queue left an e-mail address.",
    intro_address="The customer has left an e-mail address since; the chat is in the mail before.",
    intro_requested="Here is the chat you asked for.",
    reply_directly="Reply to this mail to write to the customer.",
    no_address="The customer has left no e-mail address.",
    customer="Customer",
    nameless="a customer without a name",
    email="E-mail",
    asked_at="Time",
    reason="Reason",
    severity="Severity",
    details="Details",
    back_at="On duty again",
    chat="Chat",
    transcript="Transcript",
    left_out="({count} earlier messages are left out)",
    nothing_said="(nothing was said yet)",
    customer_says="Customer",
    agent_says="Agent",
    bot_says="Assistant",
    system_says="System",
    yes_vip="VIP",
    colon=": ",
    seconds="{count} s",
    minutes="{count} min",
    digest="{count} notices:",
    cleared="[All clear] ",
    alert_waiting="[Alert] {count} waiting, the longest for {wait} (limit {limit}).",
    alert_nobody="[Alert] On duty, {count} waiting, and no agent is online.",
    alert_errors="[Alert] {value} of requests fail (limit {limit}).",
    alert_latency="[Alert] Answers take {value} (limit {limit}).",
    over_waiting="Nobody waits too long any more.",
    over_nobody="An agent is online, or nobody waits any more.",
    over_errors="Requests succeed again.",
    over_latency="Answers are quick again.",
    reasons={
        "keyword": "A keyword in the customer's words",
        "fail_loop": "The assistant failed several times in a row",
        "vip": "A VIP customer",
        "sentiment": "The customer is upset",
        "manual": "The customer asked",
    },
    severities={"high": "high", "low": "low"},
)
WORDS: Final[dict[Language, Words]] = {"zh-CN": _ZH_CN, "zh-TW": _ZH_TW, "en": _EN}


def words_of(chosen: Language | None, locale: str | None = None) -> Words:
    """Of the language chosen for the shop, else of the one that fits a customer's locale."""
    return WORDS[chosen or language(locale)]
