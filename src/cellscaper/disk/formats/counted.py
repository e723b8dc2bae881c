"""Numbers of things in words."""


def counted(number: int, things: str) -> str:
    """``1 cell``, ``2 cells``. ``things``: the plural, of its first word (lines of CSV) or its last (TMA cores)."""
    if number != 1:
        return f"{number} {things}"
    words = things.split(" ")
    at = 0 if words[0].endswith("s") else -1
    words[at] = words[at].removesuffix("es" if words[at].endswith("xes") else "s")
    return f"1 {' '.join(words)}"


def are(number: int) -> str:
    """The verb behind a number of things."""
    return "is" if number == 1 else "are"


def counted_are(number: int, things: str) -> str:
    """``1 image is``, ``3 images are``."""
    return f"{counted(number, things)} {are(number)}"
