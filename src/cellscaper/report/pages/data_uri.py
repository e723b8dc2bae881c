"""Images inside a page: a picture as the text of a data URI."""

import base64
import io
from typing import Any, Literal

from PIL import Image


def data_uri(image: Image.Image, kind: Literal["PNG", "JPEG"], **options: Any) -> str:
    """``data:image/…;base64,…`` of a picture; ``options`` are those of Pillow's ``save`` for this kind."""
    held = io.BytesIO()
    image.save(held, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(held.getvalue()).decode()}"
