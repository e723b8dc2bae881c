"""Blocks of the configuration as settings: what is accepted, and the one line about what is not."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Count, Fraction, Positive, Settings, read
from cellscaper.views.grid import Grid


class Round(Settings):
    kind: Literal["round"] = "round"
    radius: Positive = Field(2.0, description="px")


class Wide(Settings):
    kind: Literal["wide"]
    sides: tuple[Count, ...]


class Block(Settings):
    steps: Count = Field(description="steps")
    rate: Fraction = 0.5
    width: Literal["scott"] | Annotated[float, Field(gt=0)] = Field(
        "scott", json_schema_extra={"expected": "scott or a factor above 0"}
    )
    shape: Annotated[Round | Wide, Field(discriminator="kind")] = Round()
    limit: Count | None = None
    grid: Grid | None = None
    size: tuple[Count, Count] | None = None


def told(**block: object) -> str:
    with pytest.raises(CellscaperError) as caught:
        read(Block, {"steps": 1, **block}, "painters oil")
    line = str(caught.value)
    assert "\n" not in line
    assert line.endswith("; correct the configuration")
    return line.removesuffix("; correct the configuration")


def test_a_block_of_json_becomes_settings_with_defaults():
    found = read(Block, {"steps": 3, "shape": {"kind": "wide", "sides": [1, 2]}, "grid": {"region": 8}}, "x")
    assert found == Block(steps=3, shape=Wide(kind="wide", sides=(1, 2)), grid=Grid(8))
    assert (found.rate, found.width, found.limit) == (0.5, "scott", None)
    assert read(Block, found.model_dump(mode="json"), "x") == found


def test_a_wrong_value_is_told_with_its_path_and_what_was_expected():
    assert told(steps=0) == "painters oil.steps = 0: Input should be greater than or equal to 1"
    assert told(rate=1.5) == "painters oil.rate = 1.5: Input should be less than or equal to 1"
    assert told(limit=0) == "painters oil.limit = 0: Input should be greater than or equal to 1"
    assert told(rate=float("nan")).startswith("painters oil.rate = nan: ")
    assert told(shape={"kind": "wide", "sides": [4, 0]}).startswith("painters oil.shape.sides.1 = 0: ")
    assert told(grid={"region": 0}) == "painters oil.grid.region = 0: Input should be greater than or equal to 1"


@pytest.mark.parametrize("value", [-1, "silverman", None, [1]])
def test_a_field_that_says_what_it_expects_is_told_in_its_own_words_alone(value):
    assert told(width=value) == f"painters oil.width = {value!r}: expected scott or a factor above 0"


def test_a_missing_key_is_named_without_the_block_around_it():
    assert told(shape={"kind": "wide"}) == "painters oil.shape.sides is required"
    assert told(grid={}) == "painters oil.grid.region is required"
    assert told(size=[3]) == "painters oil.size.1 is required"
    with pytest.raises(CellscaperError, match=r"^painters oil\.steps is required; correct the configuration$"):
        read(Block, {}, "painters oil")


def test_an_unknown_key_and_an_unknown_kind_are_refused():
    assert told(stepps=3) == "painters oil.stepps = 3: this key is unknown"
    assert told(shape={"kind": "round", "radios": 1}) == "painters oil.shape.radios = 1: this key is unknown"
    assert told(grid={"region": 8, "strid": 2}) == "painters oil.grid.strid = 2: this key is unknown"
    assert "'flat'" in told(shape={"kind": "flat"}) and "'round', 'wide'" in told(shape={"kind": "flat"})


@pytest.mark.parametrize("block", [None, 3, "steps", [1]])
def test_what_is_no_block_is_refused(block):
    with pytest.raises(CellscaperError, match="^painters oil = .*: Input should be a valid dictionary"):
        read(Block, block, "painters oil")


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Block(steps=1).steps = 2  # type: ignore[misc]
