"""Shared by all tests: where the model servers that play a script are imported from, and the real agents that they are
played to lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent))  # `import stubs`

_CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
os.environ.setdefault("KF_AGENTS", os.path.join(_CACHE, "kernelfactory", "agents"))  # as scripts/agents.sh does
