"""Where models are: names of hosts, and in which header each takes a key. Data; refuses to reach any of them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

MODEL_HOSTS = (
    "api.anthropic.com",
    "api.openai.com",
    "*.openai.azure.com",
    "generativelanguage.googleapis.com",
    "*.aiplatform.googleapis.com",
    "aiplatform.googleapis.com",
    "openrouter.ai",
    "api.mistral.ai",
    "api.deepseek.com",
    "api.x.ai",
    "api.groq.com",
    "api.together.xyz",
    "api.fireworks.ai",
    "api.cerebras.ai",
    "api.cohere.com",
    "api.moonshot.ai",
    "api.z.ai",
    "api.minimax.io",
    "dashscope.aliyuncs.com",
    "dashscope-intl.aliyuncs.com",
    "integrate.api.nvidia.com",
    "router.huggingface.co",
)
"""What answers as a model does and is no way to the web: an agent that nothing is known of reaches these."""

LOCAL = ("localhost", "127.0.0.1", "::1")

_BELOW = r"(?:/[\w.~@:-]+)*"
_NAME = r"(?:[\w.~@:+-]|%2[Ff]|%3[Aa]|%40)+"
_QUESTIONS = (
    r"messages(?:/count_tokens)?",
    r"responses(?:/compact|/input_tokens)?",
    r"(?:chat/)?completions|embeddings",
    r"api/(?:chat|generate|show)",
    rf"models/{_NAME}:(?:generateContent|streamGenerateContent|countTokens|rawPredict|streamRawPredict)",
)
_LISTS = rf"/?|{_BELOW}/(?:models(?:/{_NAME})*|api/(?:tags|version))"
ASKS = rf"POST {_BELOW}/(?:{'|'.join(_QUESTIONS)})|(?:GET|HEAD) (?:{_LISTS})"
"""What an agent may use a key for: to ask a model, by any vendor's API, and which models there are. A key opens more:
files, batches, stored answers, other keys; nothing of that is let through."""


def host(url: str) -> str:
    return urlsplit(url).hostname or ""


def header(url: str, key: str) -> Mapping[str, str]:
    """The header in which whoever is at `url` takes its key."""
    name = host(url)
    if name == "anthropic.com" or name.endswith(".anthropic.com"):
        return {"x-api-key": key}
    if name == "generativelanguage.googleapis.com":
        return {"x-goog-api-key": key}
    return {"authorization": f"Bearer {key}"}
