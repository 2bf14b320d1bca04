"""Makes the pictures of this folder: `python docs/gallery/make.py [EXPERIMENT]` (without one: made-up demo data).

Needs Chromium and `pip install -e .[browser]`. No candidate's code is ever shown.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from kernelfactory.report.charts import picture
from kernelfactory.report.data import ReportData
from kernelfactory.report.demo import demo
from kernelfactory.report.load import load
from kernelfactory.report.page import render

HERE = Path(__file__).parent
WIDTH, HEIGHT = 1280, 1560


def main(experiment: str | None) -> None:
    """Writes report-light.png, report-dark.png and cycles.svg."""
    data = load(Path(experiment), with_code=False) if experiment else demo(700, seed=11, name="Made-up demo data")
    (HERE / "cycles.svg").write_text(picture(data), "utf-8")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(render([data], "cycles.svg"), "utf-8")
        for scheme in ("light", "dark"):
            shoot(page, scheme, HERE / f"report-{scheme}.png")
    report_sizes(data)


def shoot(page: Path, scheme: str, out: Path) -> None:
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        raise SystemExit("no Chromium found: install one, as in apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
        tab.goto(page.as_uri())
        tab.wait_for_selector("[data-chart=lineage] svg")
        tab.screenshot(path=str(out))
        browser.close()


def report_sizes(data: ReportData) -> None:
    for path in sorted(HERE.glob("*.[ps][nv]g")):
        print(f"{path.name}: {path.stat().st_size:,} bytes ({data.name}, {len(data.rows):,} attempts)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
