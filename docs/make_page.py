"""Makes docs/page.html with the command, and its picture docs/page.png with Chromium.

    python docs/make_page.py [--folder FOLDER]

With --folder it leaves docs/ alone and puts pictures at the width of a desktop and of a phone, light and dark, into
the folder: look at them after a change.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from cellscaper import cli

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests"))  # chromium.py

from chromium import IDLE, Browser  # noqa: E402


def picture(browser: Browser, page: Path, file: Path, width: int, height: int | None, dark: bool = False) -> None:
    """The page with a drawn layout; of its window 1000 px high, or of the whole page (``height`` None)."""
    scheme = "dark" if dark else "light"
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.resize(width, height or 1000)
    browser.open(page)
    browser.ask("work.ready")
    browser.ask(IDLE)
    browser.ask("new Promise(ready => setTimeout(ready, 500))")
    if height is None:
        browser.resize(width, browser.ask("document.documentElement.scrollHeight"))
        browser.ask("new Promise(ready => setTimeout(ready, 200))")
    browser.screenshot(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="for pictures to look at")
    args = parser.parse_args()
    page = (args.folder or HERE) / "page.html"
    cli.call(["page", "-o", str(page)])
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(profile)
        try:
            if args.folder is None:
                picture(browser, page, HERE / "page.png", 1180, 880)
                return
            for name, width in (("desktop", 1280), ("phone", 390)):
                for scheme in ("light", "dark"):
                    picture(browser, page, args.folder / f"{name}-{scheme}.png", width, None, scheme == "dark")
        finally:
            browser.close()


if __name__ == "__main__":
    main()
