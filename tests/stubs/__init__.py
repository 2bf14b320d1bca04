"""Model servers on loopback that play a script, for the real agents to talk to. Refuse to be anything like a model."""

from __future__ import annotations

from stubs.anthropic import Anthropic
from stubs.gemini import Gemini
from stubs.openai import OpenAI
from stubs.play import Fault, Spent, Turn, night
from stubs.serving import Request, Stub

__all__ = ["Anthropic", "Fault", "Gemini", "OpenAI", "Request", "Spent", "Stub", "Turn", "night"]
