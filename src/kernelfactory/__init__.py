"""KernelFactory: point a team of coding agents at a program and a score. Public names only; no work at import."""

from __future__ import annotations

__version__ = "0.1.0"
