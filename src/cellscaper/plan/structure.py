"""The parts of the configuration that belong to no method: run, fields, grids, experiments, tables, resources.

``workflow/schemas/generate.py`` makes the schema and ``docs/config.md`` from these classes and from the methods'
``Settings``. Planning reads the generated files and never this module, which needs pydantic.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from cellscaper.run.settings import Count, Settings, Small

UNIQUE: dict[str, JsonValue] = {"uniqueItems": True}
Decoder = Literal["components", "released", "peaks", "requested", "points"]


class Run(Settings):
    """The outputs of `snakemake` without a target."""

    datasets: list[str] = Field(description="names from datasets", min_length=1, json_schema_extra=UNIQUE)
    tables: list[str] = Field(description="names from tables", min_length=1, json_schema_extra=UNIQUE)


class Windows(Settings):
    """The windows of real images that are compared with layouts, and whose counts the layouts have."""

    split: Literal["train", "val", "test"] = Field("test", description="split of the images")
    stride: Count = Field(32, description="px between windows")


class WindowEvaluation(Settings):
    """TC: a layout for the counts of each real window, compared with these windows."""

    kind: Literal["windows"] = "windows"
    layouts: Count | None = Field(None, description="number of windows, evenly spaced; null: all of them")


class CategoryEvaluation(Settings):
    """SD: as many layouts of each count category, compared with training crops."""

    kind: Literal["categories"]
    categories: int = Field(5, ge=2, description="number of count categories, by the quantiles of the training crops")
    each: Count = Field(200, description="layouts of each category")
    reference: int = Field(1000, ge=2, description="training crops that they are compared with, equally many an image")


Evaluation = Annotated[WindowEvaluation | CategoryEvaluation, Field(discriminator="kind")]


class FieldOfView(Settings):
    """The region of a layout, its windows of real images, its painter and its feature networks."""

    region: Count = Field(description="side of a layout, px")
    windows: Windows = Field(Windows(split="test", stride=32), description="windows of real images")
    evaluation: Evaluation = Field(
        WindowEvaluation(), description="layouts that are scored, and real layouts that they are compared with"
    )
    small: Small = Field("error", description="images smaller than the region: an error, or left out")
    grid: str = Field(description="raster of the maps, a name from grids, unless an experiment names another")
    painter: str = Field(description="painter of the layouts of this field, a name from painters")
    features: list[str] = Field(
        description="networks whose features spatial-FID compares, names from features",
        json_schema_extra=UNIQUE,
    )
    train_layouts: Count = Field(
        2000,
        description="number of layouts that are painted for the detectors; they have the counts of random training "
        "crops, equally many of each category where the evaluation has categories",
    )


class Raster(Settings):
    """The raster of a region."""

    stride: Count = Field(1, description="side of a raster pixel, px")
    marker: Count = Field(3, description="side of a cell's marker, raster pixels")
    pad: int = Field(0, ge=0, description="background around the region, raster pixels")
    low: float = Field(0.0, description="value of the background")
    high: float = Field(1.0, description="value of a marker")
    soft: float = Field(0.0, ge=0, description="sd of a soft marker, raster pixels; 0: a marker is flat (papers)")
    exact: bool = Field(False, description="soft markers stand at the cell's place inside its pixel")


class Resources(Settings):
    """The resources of a job of a rule."""

    threads: Count = Field(description="cores of a job")
    mem_mb: int = Field(ge=300, description="memory, MB; grows with each attempt")
    runtime: Count = Field(description="time limit, minutes; grows with each attempt")
    gpu: int = Field(ge=0, description="GPUs")


class GeneratedSet(Settings):
    """A large set of generated layouts, made in parts; the parts of any number together are the same set."""

    dataset: str = Field(description="name from datasets: its training crops give the counts, its trainings weights")
    experiment: str = Field(description="system that makes the layouts, a name from experiments")
    seed: int = Field(0, ge=0, description="seed of the layouts and images, and of the weights")
    layouts: Count = Field(description="number of layouts")
    parts: Count = Field(1, description="number of parts, each a job")
    images: bool = Field(False, description="whether an H&E image is painted for each layout")
    decoder: Decoder | None = Field(
        None, description="reading of the maps that is painted; null for a system with a single one"
    )


class Row(Settings):
    """A row of a table."""

    label: str = Field(
        description="name of the row",
        pattern="^[^-]",
        json_schema_extra={"expected": "a text that does not begin with -"},
    )
    experiment: str | None = Field(description="name from experiments; null if none is run (real only)")
    decoder: Decoder | None = Field(
        None,
        description="reading of its maps: components = protocol paper, released, requested = ours, "
        "points = placed points",
    )
    why: str | None = Field(None, description="reason why the row is not run")
    curve: tuple[str, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="its place in a figure of quality against sampling steps",
        json_schema_extra={"expected": "[name of a line, number on the axis of sampling steps]"},
    )


class Column(Settings):
    """A column of a table."""

    metric: str = Field(description="name in the score files")
    label: str | None = Field(None, description="name of the column, if other than its score's")
    class_: str | None = Field(None, alias="class", description="class of the score; *: a column for each class")
    paper: str | None = Field(None, description="the paper's column, if it has another name than the metric")
    note: str | None = Field(
        None, description="how the paper's definition differs from ours; no difference to its number is taken then"
    )
    why: str | None = Field(None, description="reason why the column is not computed")


class Table(Settings):
    """A table: rows name experiments, columns name metrics."""

    title: str = Field(description="name of the table")
    source: str | None = Field(None, description="the paper and its table")
    values: str | None = Field(None, description="table whose paper values are shown with ours, if not its own")
    skip_datasets: list[str] = Field([], description="datasets without such a table in the paper")
    kind: Literal["layouts", "detections", "images"] = Field(description="kind of the scores")
    figures: bool = Field(
        False,
        description="its rows are shown in the dataset's figures (of detections: F1 against the radius; of layouts: "
        "counts, holes, density maps, gallery, without real layouts, decoders requested and released, and the "
        "generators permuted, hard_core and train_crops)",
    )
    detectors: list[str] = Field([], description="names from detectors; each has its own columns")
    rows: dict[str, Row] = Field(description="the rows in order", min_length=1)
    columns: str | Annotated[list[Column], Field(min_length=1)] = Field(
        description="the columns in order, or a name from columns",
        json_schema_extra={"expected": "a name from columns or a list of columns"},
    )
