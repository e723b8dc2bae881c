"""The presets, and which ones each lies over."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PRESETS = sorted((REPOSITORY / "workflow" / "presets").glob("*.yaml"))


def beneath(preset: Path) -> list[Path]:
    """The presets that one lies over, itself last: those of the command in its head, else none."""
    head = preset.read_text(encoding="utf-8").split("\nrun:")[0]
    named = re.search(r"^# .*--configfile (.*)$", head, re.MULTILINE)
    files = [REPOSITORY / file for file in named[1].split()] if named else [preset]
    assert files[-1] == preset
    return files
