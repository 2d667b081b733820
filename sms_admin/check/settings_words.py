"""The problems of settings in Chinese. The login tells them in English alone: its logs are for engineers."""

import re

_SENTENCES = {
    r"(.+) and (.+) go together": r"\1 与 \2 须同时设置",
    r"(.+) and (.+) are mutually exclusive: move the secret to (\w+)": r"\1 与 \2 不能同时设置：请把密钥移到 \3",
    r"(.+) or (.+) is required": r"\1 或 \2 必须设置一项",
    r"(.+) is required with (.+)": r"设置 \2 时必须设置 \1",
    r"(.+) is required": r"必须设置 \1",
    r"(.+) is the text 'undefined': .+": r"\1 的值是文本 'undefined'：部署时没有设置该变量",
    r"(.+) is in quotes, .+": r"\1 的值带引号，docker --env-file 会保留引号：请去掉",
    r"(.+) needs the package cryptography: (.+)": r"\1 需要 cryptography 库：\2",
    r"(.+) is \*, but without REDIS_CA_FILE .+": r"\1 为 *，但没有 REDIS_CA_FILE：任何网站的证书都会被接受",
    r"(.+) is always, but there is no (.+)": r"\1 为 always，但没有 \2",
    r"(.+) must be 0 with (.+)": r"设置 \2 时 \1 须为 0",
    r"(.+) must match (.+)": r"\1 须匹配 \2",
    r"(.+) must be one of (.+)": r"\1 须为以下之一：\2",
    r"(.+) must be 0 or 1": r"\1 须为 0 或 1",
    r"(.+) must be a host name .+": (
        r"\1 只能是主机名或 IP 地址，如 10.0.0.2：端口写在 REDIS_PORT，密码写在 REDIS_PASSWORD，"
        r"rediss:// 则设置 REDIS_TLS=1"
    ),
    r"(.+) must be a whole number from (.+) to (.+)": r"\1 须为 \2 至 \3 的整数",
    r"(.+) must be a number from (.+) to (.+)": r"\1 须为 \2 至 \3 的数",
    r"(.+) must be random text, not a key file": r"\1 须为随机文本，不能是密钥文件",
    r"(.+) must be at least (\d+) bytes long": r"\1 至少须有 \2 字节",
    r"(.+) must be 32 to 256 of .+": r"\1 须为 32 至 256 个字符，取自 A-Z、a-z、0-9、_ 和 -",
    r"(.+) must be (mysql\+pymysql:\S+) or (\S+), .+": r"\1 须为 \2 或 \3，见 docs/users.md",
    r"(.+) must be an ISO country code, like CN": r"\1 须为 ISO 国家代码，如 CN",
    r"(.+) must be ISO country codes .+": r"\1 须为 ISO 国家代码，以逗号分隔，或为 *",
    r"(.+) must be like (\S+), without a path, .+": r"\1 须形如 \2，不带路径，以逗号分隔",
    r"(.+) must be code, or code and minutes .+": r"\1 须为 code，或按模板顺序的 code 和 minutes",
    r"(.+) must be like (\S+), with commas between, each number once": r"\1 须形如 \2，以逗号分隔，每个号码一次",
    r"(.+) must be like (\S+), each name once and none login": r"\1 须形如 \2，每个名称一次，且不能是 login",
    r"(.+) must be a date like (.+)": r"\1 须为日期，如 \2",
    r"(.+) must be one private key .+": r"\1 须为一个未加密的 PEM 私钥：Ed25519、P-256 或至少 2048 位的 RSA",
    r"(.+) must be public keys .+": r"\1 须为 PEM 公钥：Ed25519、P-256 或至少 2048 位的 RSA",
}


def in_chinese(problem: str) -> str:
    """Return the sentence of a problem in Chinese."""
    for pattern, chinese in _SENTENCES.items():
        if found := re.fullmatch(pattern, problem, re.DOTALL):
            return found.expand(chinese)
    return f"有误：{problem}"
