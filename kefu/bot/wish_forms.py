"""The forms of sentences that wish to be shown products, and of those that only look like it.

Chinese forms are written in simplified characters; `what` is what is named, `before` what stands
before the word. How they are used is told in wishes.py.
"""

import re
from re import Pattern
from typing import Final


def _all(*forms: str) -> tuple[Pattern[str], ...]:
    return tuple(re.compile(form, re.IGNORECASE) for form in forms)


(UPSET, OTHER_BUSINESS) = _all(
    r"投诉|差评|骗|垃圾|赔偿|曝光|complain|scam|fraud|terrible|lawyer",
    r"退款|退货|退换|换货|退掉|退钱|维修|坏了|破了|质量问题|发货|物流|快递|订单|单号|到哪|没收到"
    r"|未收到|催|签收|\b(?:refund|return|order|parcel|deliver|shipping|tracking|broken|cancel)",
)

_END: Final = r"(?:吗|么|嘛|呢|呀|啊|吧|呗|哦|没有?)*$"
_MEASURE: Final = "[个款种样件顶双把只台套盏]"
_SOME: Final = rf"(?:一下|几?[个款种样]|[一两三几]{_MEASURE}|一?些|一?点儿?(?!心))?"
_WHAT: Final = r"(?P<what>[^?]{0,60})$"

# To be advised: what fits the customer is an answer, whatever they named.
ADVICE: Final = _all(
    rf"^(?P<before>.*?)有(?:没有|什么|啥|哪些|没)?(?:比较|值得)?推荐的?(?P<what>.{{0,16}}){_END}",
    rf"^(?P<before>.*?)有(?:没有|什么|啥|哪些|没)?(?P<what>[^的有]{{1,10}}?)(?:值得)?推荐的?{_END}",
    r"^(?![请求能可帮给来再想要麻有你您我他她谁不别])(?!强烈|值得|非常|个性|智能|朋友|同事|别人|客服|为什么|怎么|如何|关|取消|停)"
    rf"(?P<what>[^的]{{2,8}}?)推荐{_END}",
    rf"^(?P<before>.*?)推荐(?!的)(?:给我们?|我们?)?{_SOME}(?P<what>.{{0,20}}){_END}",
    r"\b(?:can|could|would|will|do|please|to) (?:you )?(?:please )?(?:recommend|suggest)\b" + _WHAT,
    rf"^(?:recommend|suggest)\b{_WHAT}",
    r"\bany (?P<what>[\w -]{0,30}?) ?\b(?:recommendation|suggestion)s?$",
    rf"\b(?:any|some|have|got|need|want|a) (?:recommendation|suggestion)s?\b{_WHAT}",
    r"^(?P<what>[\w -]{2,30}?) recommendations?$",
)
# What is good: advice where nothing is named, else as FIND.
GOOD: Final = _all(
    rf"有(?:什么|啥|哪些)(?:比较|更)?好(?:[用看吃玩喝穿]?的|[用看吃玩喝穿])?(?P<what>.{{0,10}}?){_END}",
    rf"有(?:什么|啥|哪些)(?:热卖|热销|畅销|爆款|新品|新款)的?(?P<what>.{{0,10}}?){_END}",
    r"(?:买|选|送).{0,6}?(?:什么|啥|哪[个款种])(?P<what>.{0,8}?)(?:比较|更)?(?:好|合适)" + _END,
    r"\bwhat(?:'s| is| are)(?: your)? (?:good|popular|new|hot|best ?sellers?)(?P<what>)(?: here)?$",
)
# Whether there is such a product.
FIND: Final = _all(
    r"(?:有没有|有无|有木有|是否有|卖不卖)(?P<what>.{1,20})$",
    r"(?<![没只还])有(?P<what>[^没什啥哪].{0,18}?)(?:可以买|出售|在售|卖)?(?:吗|么|嘛|没有?)[呀啊]*$",
    r"^(?P<what>.{1,15}?)(?:你们|还)*(?:有没有|卖不卖|(?:有|卖|有卖|有现?货)(?:吗|么|嘛|没有?))"
    r"(?:卖|货|现货|啊|呀|的)*$",
    r"(?:卖|出售|在售)(?P<what>.{1,15}?)(?:吗|么|嘛|不)[呀啊]*$",
    r"(?<![不没])(?:想|要|打算|准备|需要)再?(?:购?买|入手|选购|挑)"
    rf"{_SOME}(?P<what>[^的了过到].{{0,18}})$",
    rf"(?:想找|在找|帮我找|求购){_SOME}(?P<what>.{{1,18}})$",
    r"\b(?:do|does) (?:you|the shop|your shop)(?: guys)?(?: also| still)? (?:have|sell|carry|stock)"
    rf"\b{_WHAT}",
    rf"\b(?:have you got|got any|(?:is|are) there any|looking for|searching for|show me)\b{_WHAT}",
    rf"\b(?:want|like|need) to (?:buy|get)\b{_WHAT}",
    r"\bany (?P<what>[\w -]{1,30}?) (?:in stock|available|for sale)$",
)

(STATED, REFERRED, NO_GOODS) = _all(
    # before 推荐: somebody tells of it
    r"(?:不|别|不要|不会|不用|无需|值得|强烈|非常|已经?|被|个性化|智能|关闭|关掉|停止|屏蔽|取消"
    r"|(?<!给)(?<!给我)(?<!送)(?:朋友|同事|同学|别人|家人|老婆|老公|妈妈|爸爸|网友|博主|主播|医生|老师|[他她])"
    r"(?:给我|跟我|向我)?)(?:再|给我)?$",
    # behind it: another matter than products
    r"\s*(?:[人码奖函信官位费了过来错得尺穿返]|好友|朋友|给(?:别人|朋友|同事|他|她)|算法|功能|系统|设置"
    r"|广告|短信|邮件|消息|链接|关系|计划|有礼|理由|指数|客服|到|(?:i|that|this|these|we|you|it)\b)",
    # no kind of product, wherever it is named
    r"\b(?:how|my|our|your|you|friends?|colleagues?|solutions?|way|fix)\b|我的|我们的|朋友|同事|别人"
    r"|^(?:货|现货|存货|库存|人|人工|事|用|空|办法|方法|解决.*|问题|优惠.*|活动|可能|处|.*[色号码]|尺寸)$",
)
ANYTHING: Final = re.compile(
    r"(?:商品|产品|东西|宝贝|好物|好货|礼物|款式?|牌子|品牌|something|anything|products?|items?|things?"
    r"|stuff|gifts?|presents?|ones?)",
    re.IGNORECASE,
)

LEAD: Final = re.compile(
    rf"(?:[那这哪]?[种些款类]|[一两三几那这哪]{_MEASURE}|卖|什么|别的|其[他它]|更|比较"
    r"|好(?:一?点的?|用的|的)|新的|你们|店里|家里|的|\s|"
    r"(?:me|us|to|an?|the|any|some|few|for|of|good|nice|cheap|new|best)\b)+",
    re.IGNORECASE,
)
TAIL: Final = re.compile(
    r"(?:的|卖|吗|么|嘛|呢|呀|啊|吧|呗|哦|没有?|可以[买选]|出售|在[卖售]|推荐|谢谢|\s)+$"
    r"|\s+(?:for|with|in|of|on|under|below|about|that|which|to|from|at|who|by|and|or|please|now|today"
    r"|available|left)\b.*$",
    re.IGNORECASE,
)
AND: Final = re.compile(r"(?<=.)(?:和|跟|与|或者?|还是|以及|及|、)")
PLURAL: Final = re.compile(
    r"(?:(?<=[xs])es|(?<=[cs]h)es|(?<=[^\Ws]{3})s|(?<=\w{2})ies|(?<=\w{3})y)$"
)
