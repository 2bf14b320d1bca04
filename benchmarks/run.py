"""Runs benchmarks: `python benchmarks/run.py [NAME…] [--json]`. Each is benchmarks/NAME.py with `main() -> dict`: what
was measured, on what, against what. Measures nothing itself."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run" and not path.stem.startswith("_"))


def run(name: str) -> dict[str, Any]:
    """One benchmark's figures; what it prints goes to stderr."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"benchmarks: {name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with contextlib.redirect_stdout(sys.stderr):
        spec.loader.exec_module(module)
        figures: dict[str, Any] = module.main()
    return figures


def machine() -> dict[str, Any]:
    """On what it was measured."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count(), "load": load}


def lines(figures: dict[str, Any], indent: str = "  ") -> list[str]:
    """Figures for reading."""
    out: list[str] = []
    for key, value in figures.items():
        if isinstance(value, dict):
            out += [f"{indent}{key}", *lines(value, indent + "  ")]
        else:
            out.append(f"{indent}{key}: {value:.4g}" if isinstance(value, float) else f"{indent}{key}: {value}")
    return out


def main(argv: list[str] | None = None) -> int:
    known = names()
    parser = argparse.ArgumentParser(description="KernelFactory's benchmarks.", epilog=f"known: {', '.join(known)}")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    asked = parser.parse_args(argv)
    for name in asked.names:
        if name not in known:
            parser.error(f"no benchmark {name!r}; known: {', '.join(known)}")
    results = {"machine": machine(), "benchmarks": {}}
    for name in asked.names or known:
        results["benchmarks"][name] = run(name)
        if not asked.json:
            print(name, *lines(results["benchmarks"][name]), sep="\n", flush=True)
    if asked.json:
        print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
