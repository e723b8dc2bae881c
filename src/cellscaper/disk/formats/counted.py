"""Numbers of things in words."""


def counted(number: int, things: str) -> str:
    """``1 cell``, ``2 cells``. ``things``: the plural, of its first word (lines of CSV) or its last (TMA cores)."""
    if number != 1:
        return f"{number} {things}"
    words = things.split(" ")
    at = 0 if words[0].endswith("s") else -1
    words[at] = words[at].removesuffix("s")
    return f"1 {' '.join(words)}"


def are(number: int) -> str:
    """The verb behind a number of things."""
    return "is" if number == 1 else "are"
