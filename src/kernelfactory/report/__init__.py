"""`kf report`: an experiment's record as one self-contained page and a picture of its scores. Refuses to write the
record, to load anything from elsewhere, and to show private programs unless told to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kernelfactory.model import BadInput

__all__ = ["write"]


def write(folders: Sequence[Path], out: Path, *, with_code: bool) -> list[Path]:
    """Write the page of these experiments to `out`, and beside it one SVG each (`out` with the suffix .svg, numbered
    from the second on). Answers the files written, the page first. BadInput: no folder given, one without a readable
    record, or `out` cannot be written."""
    from kernelfactory.files import write_atomic
    from kernelfactory.report.charts import picture
    from kernelfactory.report.load import load
    from kernelfactory.report.page import render

    if not folders:
        raise BadInput("kf report needs the folder of an experiment")
    reports = [load(Path(folder), with_code=with_code) for folder in folders]
    out = Path(out)
    if out.suffix == ".svg":
        raise BadInput(f"{out} is where the picture would go: name the page, as in --out report.html")
    pictures = [out.with_suffix(f".{n}.svg" if n > 1 else ".svg") for n in range(1, len(reports) + 1)]
    now = datetime.now(UTC).strftime("%-d %B %Y, %H:%M UTC")
    texts = [render(reports, pictures[0].name, now), *map(picture, reports)]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for path, text in zip([out, *pictures], texts, strict=True):
            write_atomic(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror}): name another file with --out") from error
    return [out, *pictures]
