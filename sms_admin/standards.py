"""The review standards for signatures and templates that can be checked before anything is sent.

Sources: models and error codes of the API (2021-01-11), and of cloud.tencent.com/document/product/382 the pages 39022
(signatures), 39023 (templates), 116397 (kinds that are gone; also announcement 2256), 100568 (unsubscribing).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

KINDS = {"company": 0, "app": 1, "trademark": 4, "government": 5}  # SignType
DOCUMENTS = {  # DocumentType
    "three-in-one": 0,
    "licence": 1,
    "organisation-code": 2,
    "credit-code": 3,
    "app-screenshot": 4,
    "trademark": 7,
}
# Kinds and documents that were accepted until 2024 and 2025: their names for people.
GONE_KINDS = {"website": "网站", "official-account": "公众号", "mini-program": "小程序"}
GONE_DOCUMENTS = {
    "website-screenshot": "网站备案后台截图",
    "mini-program-screenshot": "小程序设置页面截图",
    "official-account-screenshot": "公众号设置页面截图",
}
_PROVES = {
    "company": ("three-in-one", "licence"),
    "app": ("three-in-one", "licence", "organisation-code", "credit-code", "app-screenshot"),
    "trademark": ("trademark",),
    "government": ("organisation-code", "credit-code"),
}
_NAME = re.compile(r"[A-Za-z0-9\u3400-\u9fff]{2,12}")
_PICTURES = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82"}  # JPEG and PNG: their begin and end
MOST_BYTES = 7_000_000  # of all pictures: a signed request has at most 10 MB, and base64 adds a third
_LONGEST, _ONE = 500, 70  # characters of a message with its signature, and of one that is charged as one: 39023
_SYMBOLS = "¥￥★☞✓※"
_MARKETING = re.compile(
    r"优惠|促销|打折|折扣|特价|抽奖|中奖|红包|免费|秒杀|满减|返利|返现|清仓|大促|领取|会员日|新品|福利"
    r"|\b(?:discount|sale|coupon|promo\w*|free gift|lottery|winner|bonus|offer)\b|[0-9]% ?off",
    re.IGNORECASE,
)
_CODE = re.compile(r"验证码|校验码|动态码|确认码|动态密码|code|password|otp", re.IGNORECASE)
_LINK = re.compile(r"https?://|www\.|[a-z0-9-]+\.(?:com|cn|net|org|top|cc)\b", re.IGNORECASE)
_LINK_WITH_VARIABLE = re.compile(r"(?:https?://|www\.)[^\s\u3400-\u9fff]*\{|\{[^{}]*\}(?:\.[a-z]|/)", re.IGNORECASE)
UNSUBSCRIBE = "拒收请回复R"


class Complaint(NamedTuple):
    """A rule that is broken: the sentence in each language. The review refuses it, or with `warning` perhaps."""

    english: str
    chinese: str
    warning: bool = False


def signature(
    name: str, kind: str, document: str, *, international: bool, qualification: int | None
) -> Iterator[Complaint]:
    """Yield the complaints about a signature, without its pictures."""
    if "【" in name or "】" in name:
        yield Complaint("leave out the brackets 【】: every message adds them", "请去掉【】：短信会自动添加")
    elif not _NAME.fullmatch(name):
        words = (
            "a signature has 2 to 12 characters: Chinese, Latin letters, digits",
            "签名为 2 至 12 个中文、英文或数字",
        )
        yield Complaint(*words, warning=international)
    if kind in GONE_KINDS:
        yield Complaint(
            f"the kind “{kind}” no longer exists: use {_or(KINDS)}", f"签名类型“{GONE_KINDS[kind]}”已不再支持"
        )
    if document in GONE_DOCUMENTS:
        gone = f"the document “{document}” no longer exists: use {_or(DOCUMENTS)}"
        yield Complaint(gone, f"证明类型“{GONE_DOCUMENTS[document]}”已不再支持")
    if kind in KINDS and document in DOCUMENTS and document not in _PROVES[kind]:
        yield Complaint(f"a {kind} is proved by {_or(_PROVES[kind])}", f"类型 {kind} 的证明须为 {_or(_PROVES[kind])}")
    if not international and kind == "app":
        yield Complaint("in mainland China there are no signatures of apps any more", "国内短信已不再支持 APP 签名")
    if not international and document == "app-screenshot":
        yield Complaint(
            "in mainland China an app-screenshot proves nothing any more", "国内短信已不再支持应用后台管理截图"
        )
    if not international and qualification is None:
        yield Complaint(
            "mainland China needs the id of an approved qualification (console.cloud.tencent.com/smsv2/enterprise)",
            "国内短信需填写已通过审核的资质 ID（console.cloud.tencent.com/smsv2/enterprise）",
        )


def pictures(proof: bytes, commission: bytes | None, *, for_others: bool) -> Iterator[Complaint]:
    """Yield the complaints about the picture of the document, and of the commission of somebody else."""
    for what, chinese, content in (("proof", "证明", proof), ("commission", "授权书", commission)):
        end = next((end for start, end in _PICTURES.items() if content and content.startswith(start)), None)
        if content is not None and end is None:
            yield Complaint(f"the {what} is no picture in JPEG or PNG", f"{chinese}不是 JPEG 或 PNG 图片")
        elif content and end and end not in content[-64:]:
            yield Complaint(f"the picture of the {what} is cut off", f"{chinese}图片不完整")
    if len(proof) + len(commission or b"") > MOST_BYTES:
        yield Complaint("the pictures have more than 7 MB", "图片超过 7 MB")
    if for_others and commission is None:
        yield Complaint("a signature for somebody else needs the picture of a commission", "他用签名需提交授权书图片")
    if commission is not None and not for_others:
        yield Complaint("a commission counts only with --for-others", "授权书仅在 --for-others 时有效")


def template(content: str, kind: str, *, international: bool) -> Iterator[Complaint]:
    """Yield the complaints about the text of a template; `kind` is `otp`, `notice` or `marketing`."""
    yield from _variables(content)
    yield from _characters(content)
    if kind == "otp":
        yield from _otp(content)
    elif not international and re.search(r"\{[0-9]+\}", content):
        words = "many accounts may have variables in verification codes alone: the console's page of templates says so"
        yield Complaint(words, "许多账号仅验证码模板支持变量，以控制台模板页为准", warning=True)
    if kind == "notice" and (word := _MARKETING.search(content)):
        yield Complaint(f"“{word[0]}” is marketing, not a notice", f"“{word[0]}”属于营销内容，不是通知", warning=True)
    if kind == "marketing" and not international and not content.rstrip().endswith(UNSUBSCRIBE):
        yield Complaint(f"a marketing text ends with {UNSUBSCRIBE}", f"营销短信须以“{UNSUBSCRIBE}”结尾")


def _characters(content: str) -> Iterator[Complaint]:
    if not content.strip():
        yield Complaint("the text is empty", "正文为空")
    if _LINK_WITH_VARIABLE.search(content):
        yield Complaint("a link may not contain a variable", "链接中不得包含变量")
    elif _LINK.search(content):
        yield Complaint(
            "a link must be constant, and its domain filed (ICP)", "链接须为固定内容，且域名已备案", warning=True
        )
    if "【" in content or "】" in content:
        yield Complaint("the text has no brackets 【】: the signature has", "正文不得含【】，仅签名使用")
    if found := [symbol for symbol in (*_SYMBOLS, "^_^") if symbol in content]:
        yield Complaint(f"the text may not contain {' '.join(found)}", f"正文不得含特殊符号 {' '.join(found)}")
    if len(content) + 4 > _LONGEST:  # the shortest signature in its brackets
        yield Complaint(
            f"a message has at most {_LONGEST} characters with its signature", f"短信连同签名最多 {_LONGEST} 字"
        )
    elif len(content) + 4 > _ONE:
        words = f"a message over {_ONE} characters, with its signature, is charged as several"
        yield Complaint(words, f"连同签名超过 {_ONE} 字的短信按多条计费", warning=True)


def _otp(content: str) -> Iterator[Complaint]:
    if word := _MARKETING.search(content):
        yield Complaint(
            f"“{word[0]}” is marketing: a verification code has none", f"“{word[0]}”属于营销内容，验证码模板不得包含"
        )
    if not re.search(r"\{[0-9]+\}", content):
        yield Complaint("a verification code needs a variable for the code", "验证码模板须有验证码变量")
    if not _CODE.search(content):
        yield Complaint("the text does not say that it is a verification code", "正文没有写明是验证码", warning=True)


def _variables(content: str) -> Iterator[Complaint]:
    found = list(re.finditer(r"\{([^{}]*)\}", content))
    rest = re.sub(r"\{[^{}]*\}", "", content)
    numbers = {int(match[1]) for match in found if match[1].isascii() and match[1].isdigit()}
    if "{" in rest or "}" in rest or any(not (match[1].isascii() and match[1].isdigit()) for match in found):
        yield Complaint("variables are {1}, {2} and so on, without names", "变量须写作 {1}、{2}，不能用名称")
    elif numbers != set(range(1, len(numbers) + 1)):
        yield Complaint("variables are numbered from {1} without a gap", "变量须从 {1} 起连续编号")
    if any(not content[one.end() : other.start()].strip() for one, other in pairwise(found)):
        yield Complaint("two variables may not touch: put text between them", "变量不得相邻，中间须有文字")
    if found and not re.search(r"\w", rest):
        yield Complaint("the text may not be variables alone", "正文不得全为变量")


def _or(words: Iterable[str]) -> str:
    return ", ".join(words)
