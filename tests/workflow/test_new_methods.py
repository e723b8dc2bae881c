"""A house that grows: a new method is one file and one block, and reruns nothing but what shows it.

`make test` adds a method of each kind at once, `make test-long` each alone.
"""

import json
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

PAGES = {"make_report all"}
TABLE = {"make_tables phantom/tc_table1", "draw_table phantom/tc_table1", "draw_intervals phantom/tc_table1"}


@dataclass(frozen=True)
class New:
    """A new method: its file, the overlay that uses it, and the jobs of before that show it."""

    file: str
    source: str
    config: str
    shown: set[str]
    made: str  # a job that must be among the new ones
    changed: tuple[str, str]  # a setting's old and new text in the overlay


SETTINGS = """
from pydantic import Field

from cellscaper.run.settings import Settings as Base
"""
NEW = {
    "dataset": New(
        "datasets/stained.py",
        SETTINGS
        + """
from cellscaper.datasets import phantom


class Settings(phantom.Settings):
    darker: int = Field(0, ge=0, description="grey levels")


classes, mpp, files, fetch = phantom.classes, phantom.mpp, phantom.files, phantom.fetch


def read(settings, root):
    for record in phantom.read(settings, root):
        yield record
""",
        """
run: {datasets: [phantom, dark]}
datasets:
  dark: {reader: stained, images: {train: 4, val: 1, test: 4}, size: [192, 176], seed: 29, darker: 3}
""",
        {"make_report"},
        "read_cells dark",
        ("darker: 3", "darker: 4"),
    ),
    "density": New(
        "density/flat.py",
        SETTINGS
        + """
import numpy as np


class Settings(Base):
    height: float = Field(1.0, gt=0, description="per px²")


def fit(points, settings, seed):
    return settings.height


def evaluate(params, where):
    return np.full(len(where), params)
""",
        """
densities: {flat: {method: flat, height: 2.0}}
experiments: {tc_sd_flat: {base: tc_sd_gmm, density: flat}}
tables:
  tc_table1: {rows: {flat: {label: flat, experiment: tc_sd_flat, decoder: components}}}
""",
        TABLE
        | {
            "draw_training phantom/train_layout",
            "draw_counts phantom/w256",
            "draw_persistence phantom/w256",
            "draw_density phantom",
            "make_gallery phantom",
            "make_report",
        },
        "fit_density phantom/flat/4",
        ("height: 2.0", "height: 3.0"),
    ),
    "untrained generator": New(
        "generators/corner.py",
        SETTINGS
        + """
from cellscaper.generators import random

DECODERS = ("points",)


class Settings(Base):
    margin: int = Field(0, ge=0, description="px")


def generate(request):
    return random.generate(request)
""",
        """
experiments: {corner: {generator: corner, field: w256, settings: {margin: 3}}}
tables:
  tc_table1: {rows: {corner: {label: corner, experiment: corner, decoder: points}}}
""",
        TABLE | {"draw_counts phantom/w256", "draw_persistence phantom/w256", "make_gallery phantom", "make_report"},
        "sample_layouts phantom/corner/test/0",
        ("margin: 3", "margin: 4"),
    ),
    "trained generator": New(
        "generators/adm_again.py",
        SETTINGS
        + """
from cellscaper.generators import adm

DECODERS, TRAINING, Sampling = adm.DECODERS, adm.TRAINING, adm.Sampling


class Settings(adm.Settings):
    again: int = Field(0, ge=0, description="times")


prepare, generate = adm.prepare, adm.generate
""",
        """
experiments: {again: {base: adm, generator: adm_again, settings: {again: 1}}}
tables:
  tc_table1: {rows: {again: {label: again, experiment: again, decoder: components}}}
""",
        TABLE
        | {
            "draw_training phantom/train_layout",
            "draw_counts phantom/w256",
            "draw_persistence phantom/w256",
            "make_gallery phantom",
            "make_report",
        },
        "train_layout phantom/again/0",
        ("again: 1}", "again: 2}"),
    ),
    "painter": New(
        "painters/plain.py",
        SETTINGS
        + """
import numpy as np


class Settings(Base):
    colour: int = Field(200, ge=0, le=255, description="grey level")


def paint(request):
    for layout in request.layouts:
        yield np.full((*layout.size, 3), request.settings.colour, np.uint8)
""",
        """
painters: {plain: {method: plain, colour: 220}}
fields:
  plain:
    region: 128
    windows: {stride: 16}
    grid: tc
    painter: plain
    features: [tc, tc_released]
    evaluation: {layouts: 80}
    train_layouts: 8
experiments: {random_plain: {base: random, field: plain}}
tables:
  image_quality: {rows: {plain: {label: plain, experiment: random_plain, decoder: points}}}
""",
        {
            "make_tables phantom/image_quality",
            "draw_table phantom/image_quality",
            "draw_intervals phantom/image_quality",
            "make_tables phantom/image_copies",
            "draw_table phantom/image_copies",
            "draw_intervals phantom/image_copies",
            "make_gallery phantom",
            "make_report",
        },
        "paint_images phantom/random_plain/points/0",
        ("colour: 220", "colour: 230"),
    ),
    "detector": New(
        "detectors/unet_again.py",
        SETTINGS
        + """
from cellscaper.detectors import unet


class Settings(unet.Settings):
    again: int = Field(0, ge=0, description="times")


build, maps, cells, training = unet.build, unet.maps, unet.cells, unet.training
""",
        """
detectors:
  again:
    method: unet_again
    width: 4
    depth: 2
    crop: 96
    again: 1
    synthetic_fractions: [0.5]
    training: {steps: 20, batch: 4, ema: 0.9, precision: fp32, log_every: 5}
tables:
  tc_table2: {detectors: [unet, mcspatnet, again]}
""",
        {
            "make_tables phantom/tc_table2",
            "draw_intervals phantom/tc_table2",
            "draw_radii phantom/tc_table2",
            "draw_training phantom/train_detector",
            "make_report",
        },
        "train_detector phantom/again/real_only/points/0/0",
        ("again: 1", "again: 2"),
    ),
    "feature network": New(
        "features/again.py",
        SETTINGS
        + """
from cellscaper.features import autoencoder

SCORE, LABEL = "spatial_fid_again", "FID again"


class Settings(autoencoder.Settings):
    again: int = Field(0, ge=0, description="times")


build = autoencoder.build
""",
        """
run: {tables: [sd_table1, tc_table1, tc_table1_released, tc_table2, image_quality, image_copies, mine]}
features:
  again:
    method: again
    grid: {region: 128, stride: 4, marker: 1}
    width: 8
    depth: 3
    level: 2
    again: 1
    training: {steps: 30, lr: 3.0e-3, precision: fp32, log_every: 5}
fields: {w256: {features: [tc, tc_released, again]}}
tables:
  mine:
    title: Mine
    kind: layouts
    rows: {adm: {label: ADM, experiment: adm, decoder: components}}
    columns: [{metric: spatial_fid_again}]
""",
        {
            "score_layouts phantom/adm/components/0",
            "make_tables phantom/tc_table1",
            "draw_intervals phantom/tc_table1",
            "draw_training phantom/train_features",
            "make_report",
        },
        "train_features phantom/again/0",
        ("again: 1", "again: 2"),
    ),
    "metric": New(
        "metrics/crowding.py",
        SETTINGS
        + """
from cellscaper.metrics.protocol import Column

COLUMNS = {"crowding": Column("crowding", higher_is_better=True)}


class Settings(Base):
    scale: float = Field(1.0, gt=0, description="cells")


def score(comparison, settings):
    return {"crowding": {"total": float(comparison.made.counts().sum(axis=1).mean()) / settings.scale}}
""",
        """
run: {tables: [sd_table1, tc_table1, tc_table1_released, tc_table2, image_quality, image_copies, mine]}
metrics: {crowding: {scale: 2.0}}
tables:
  mine:
    title: Mine
    kind: layouts
    rows:
      adm: {label: ADM, experiment: adm, decoder: components}
      random: {label: random, experiment: random, decoder: points}
    columns: [{metric: crowding, class: total}]
""",
        {
            "score_layouts phantom/adm/components/0",
            "score_layouts phantom/random/points/0",
            "make_tables phantom/tc_table1",
            "draw_intervals phantom/tc_table1",
            "make_tables phantom/tc_table1_released",
            "draw_intervals phantom/tc_table1_released",
            "make_report",
        },
        "make_tables phantom/mine",
        ("scale: 2.0", "scale: 3.0"),
    ),
}


def names(jobs):
    return {job.name.strip() for job in jobs}


def add(workflow, new):
    """The method's file, and schema and facts made again."""
    (workflow.folder / "src/cellscaper" / new.file).write_text(new.source, encoding="utf-8")
    ended = workflow.run(["python", "workflow/schemas/generate.py"])
    assert ended.status == 0, ended.text


def merged(one, other):
    """Two configurations in one; of two lists, all that stands in either."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: merged(one.get(key), other.get(key)) for key in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list):
        return one + [item for item in other if item not in one]
    return one if other is None else other


@pytest.mark.parametrize(
    "kinds",
    [pytest.param(tuple(NEW), id="all"), *(pytest.param((kind,), marks=pytest.mark.long, id=kind) for kind in NEW)],
)
def test_new_methods_run_their_own_rows_alone_and_so_does_a_changed_setting(kinds, copy, jobs):
    """The setting of one of them is changed: of the density, whose maps many rows could be thought to need."""
    new, before = [NEW[kind] for kind in kinds], names(jobs)
    for one in new:
        add(copy, one)
    assert copy.plan() == []  # the methods alone, nobody uses them

    config: dict[str, Any] = {}
    for one in new:
        config = merged(config, yaml.safe_load(one.config))
    overlays = copy.overlay("own.yaml", yaml.safe_dump(config))
    first = names(copy.plan(overlays=overlays))
    assert {one.made for one in new} <= first
    assert first & before == set().union(*(one.shown for one in new))

    ended = copy.snakemake("--touch", overlays=overlays)  # as if they had been run
    assert ended.status == 0, ended.text
    (other,) = new if len(new) == 1 else (NEW["density"],)
    assert other.changed[0] in other.config
    copy.overlay("own.yaml", yaml.safe_dump(merged(config, yaml.safe_load(other.config.replace(*other.changed)))))
    changed = names(copy.plan(overlays=overlays))
    assert other.made in changed
    assert changed <= first


def unchecked(file):
    """The lines of a score file without their checksums, which depend on the number of lines."""
    return [line.rsplit(",", 1)[0] for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_new_metric_computes_no_other_again(copy, finished):
    """The rows of the table that shows it are scored again, and every other metric is read from what was kept."""
    new = NEW["metric"]
    add(copy, new)
    scores = copy.folder / "results/phantom/score_layouts/adm/components/seed0/scores.csv"
    before = unchecked(scores)
    ended = copy.snakemake(str(scores.relative_to(copy.folder)), overlays=copy.overlay("own.yaml", new.config))
    assert ended.status == 0, ended.text
    kept = sorted(line.split(":")[0] for line in ended.text.splitlines() if ": kept from an earlier run" in line)
    assert kept == ["copies", "counts", "cross_class", "mmd", "spatial_fid-autoencoder", "topofd"]
    after = unchecked(scores)
    assert set(before) < set(after)
    assert [line for line in after if line not in before and ",crowding," not in line] == []


def test_a_changed_metric_alone_is_computed_again(copy):
    scores = copy.folder / "results/phantom/score_layouts/adm/components/seed0/scores.csv"
    overlays = copy.overlay("own.yaml", "metrics: {mmd: {layouts: 10}}")
    ended = copy.snakemake(str(scores.relative_to(copy.folder)), overlays=overlays)
    assert ended.status == 0, ended.text
    kept = {line.split(":")[0] for line in ended.text.splitlines() if ": kept from an earlier run" in line}
    assert kept == {"copies", "counts", "cross_class", "spatial_fid-autoencoder", "topofd"}


def test_kept_scores_that_are_damaged_are_computed_again(copy, finished):
    folder = copy.folder / "results/phantom/score_layouts/adm/components/seed0"
    wanted = (folder / "scores.csv").read_bytes()
    (folder / "scores.csv").unlink()
    kept = json.loads((folder / "kept/topofd.json").read_text(encoding="utf-8"))
    kept["scores"]["topofd"]["mean"] += 1
    (folder / "kept/topofd.json").write_text(json.dumps(kept), encoding="utf-8")
    (folder / "kept/mmd.json").write_text("{", encoding="utf-8")
    ended = copy.snakemake(str((folder / "scores.csv").relative_to(copy.folder)))
    assert ended.status == 0, ended.text
    assert (folder / "scores.csv").read_bytes() == wanted
    assert "topofd: kept" not in ended.text and "mmd: kept" not in ended.text and "copies: kept" in ended.text


def test_the_methods_of_this_page_are_of_every_kind():
    from cellscaper.run.methods import KINDS

    assert {new.file.split("/")[0] for new in NEW.values()} == set(KINDS)
    for new in NEW.values():
        assert yaml.safe_load(new.config)
