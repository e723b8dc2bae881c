"""Numbers as readers see them."""


def spaced(number: int) -> str:
    """``1500000`` → ``1 500 000``."""
    return f"{number:,}".replace(",", " ")
