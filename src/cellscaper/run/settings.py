"""Settings: the typed form of a block of the configuration.

Each method has a class ``Settings`` in its own file. The schema of ``config.yaml``, the defaults that planning fills in
and ``docs/config.md`` are generated from these classes (``workflow/schemas/generate.py``).
"""

from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cellscaper.errors import CellscaperError

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Small = Literal["error", "skip"]  # images smaller than the region: an error, or left out
Precision = Literal["fp32", "bf16"]


class Settings(BaseModel):
    """Base of all settings: frozen, without unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Kind = TypeVar("Kind", bound=Settings)


def read(kind: type[Kind], block: Any, what: str) -> Kind:
    """Settings from a block of a stage's configuration (JSON); ``what`` is its name in the CellscaperError."""
    try:
        return kind.model_validate(block)
    except ValidationError as error:
        raise CellscaperError(f"{_explain(kind, block, what, error.errors()[0])}; correct the configuration") from None


def _explain(kind: type[Settings], block: Any, where: str, error: Any) -> str:
    """The wrong field, its value and the expected one. pydantic's paths also name the members of unions."""
    value, models = block, [kind]
    for part in error["loc"]:
        try:
            value = value[part]
        except (LookupError, TypeError):
            continue
        where = f"{where}.{part}"
        field = next((one.model_fields[part] for one in models if part in one.model_fields), None)
        if field and isinstance(field.json_schema_extra, dict) and "expected" in field.json_schema_extra:
            return f"{where} = {value!r}: expected {field.json_schema_extra['expected']}"
        models = settings_in(field.annotation) if field else models
    if error["type"] == "missing":
        return f"{where}.{error['loc'][-1]} is required"
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{where} = {value!r}: this key is unknown"
    return f"{where} = {value!r}: {error['msg']}"


def settings_in(annotation: Any) -> list[type[Settings]]:
    """The settings classes in an annotation, those of unions too."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [one for part in get_args(annotation) for one in settings_in(part)]
