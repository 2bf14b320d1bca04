"""`kf measure` as tools of an MCP server on stdio, for the workspace FOLDER. Refuses every other verb."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from kernelfactory.model import KernelFactoryError
from kernelfactory.wire import ask_inside

MEASURE = """Have the judge measure the program in the workspace as it is now: the only score that counts.

Answers the verdict (accepted, or rejected with the reason), the score, the best score of this attempt so far
(best_here), the parent's score to beat (parent_score), and what the judge's instruments show. Waits for its turn and
may take a while. The same as `kf measure --json` in a shell."""

QUICK = """Try the program in the workspace at a smaller size: fast, and a hint only, never a verdict.

Answers ok, the figure, and the reason when it is not valid. The same as `kf measure --quick --json` in a shell."""

EVERY = 5.0
"""Seconds between two signs of life while the judge is at work."""


def main(folder: Path) -> None:
    server = MCPServer("kernelfactory", log_level="CRITICAL")

    async def measure(context: Context) -> dict[str, Any]:
        return await _alive(context, lambda: ask_inside("measure", folder, quick=False))

    async def measure_quick(context: Context) -> dict[str, Any]:
        return await _alive(context, lambda: ask_inside("measure", folder, quick=True))

    server.tool(description=MEASURE, structured_output=True)(measure)
    server.tool(description=QUICK, structured_output=True)(measure_quick)
    server.run("stdio")


async def _alive(context: Context, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `ask` answers, in a thread; meanwhile the client hears of it, should it ask for progress."""
    async with anyio.create_task_group() as group:
        group.start_soon(_tell, context.report_progress)
        answer = await anyio.to_thread.run_sync(_told, ask, abandon_on_cancel=True)
        group.cancel_scope.cancel()
    if isinstance(answer, str):
        raise ToolError(answer)
    return answer


def _told(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    """The answer, or in a line why there is none."""
    try:
        return ask()
    except (KernelFactoryError, OSError) as error:
        return str(error)


async def _tell(report: Callable[[float], Awaitable[None]]) -> None:
    seconds = 0.0
    while True:
        await anyio.sleep(EVERY)
        seconds += EVERY
        await report(seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
