"""The figures and pages of a run, and the input files of each."""

from typing import Any, NamedTuple

from cellscaper.plan.outputs import Outputs
from cellscaper.plan.tables import AUDIT, Row

TRAININGS = ("train_layout", "train_features", "train_image", "train_detector")
UNSHOWN = ("permuted", "hard_core", "train_crops")  # generators: references of tables alone


class Source(NamedTuple):
    """Layouts or images that a figure shows: label, file, and the name of the file's set (None: its only set)."""

    label: str
    file: str
    decoder: str | None


class Pair(NamedTuple):
    """Generated layouts and the images that were painted for them."""

    label: str
    layouts: str
    decoder: str | None
    painted: str


class Figures:
    """The contents of the figures and pages of a run."""

    def __init__(self, outputs: Outputs):
        self.outputs, self.tables, self.experiments = outputs, outputs.tables, outputs.experiments
        self.config, self.first_seed = outputs.config, outputs.first_seed

    def folder(self, dataset: str) -> str:
        return f"{self.outputs.folder(dataset)}/figures"

    # -- rows and their contents -------------------------------------------------------------------------------

    def source(self, dataset: str, row: Row) -> Source:
        """The layouts of a row, first seed."""
        file = self.outputs.layouts(dataset, str(row.experiment), "test", self.first_seed)
        return Source(row.label, file, row.decoder)

    def _is_real(self, row: Row) -> bool:
        return row.experiment is not None and self.experiments[row.experiment].is_real

    def painted_rows(self, dataset: str) -> list[Row]:
        """Rows whose layouts are painted: rows of tables of images, and of detectors that are trained with pairs."""
        images = [row for row in self.tables.all_rows(dataset, "images") if not self._is_real(row)]
        return images + [row for row in self.tables.all_rows(dataset, "detections") if row.experiment]

    def layout_rows(self, dataset: str) -> list[Row]:
        """Rows of the tables with `figures` that are run, each experiment and decoder once, without real layouts."""
        found: dict[tuple[str | None, str | None], Row] = {}
        for row in self.tables.all_rows(dataset, "layouts"):
            if self.config["tables"][row.table]["figures"] and not self._is_real(row):
                found.setdefault((row.experiment, row.decoder), row)
        return list(found.values())

    def sources(self, dataset: str, field: str) -> list[Source]:
        """Layouts of a field: `layout_rows` without the generators UNSHOWN, maps as the protocol `paper` reads them.

        The decoders `requested` and `released` would show the same maps again. Figures grow with rows in height alone.
        """
        found = []
        for row in self.layout_rows(dataset):
            one = self.experiments[str(row.experiment)]
            if one.field == field and row.decoder in ("components", "points") and one.generator not in UNSHOWN:
                found.append(self.source(dataset, row))
        return found

    def fields(self, dataset: str) -> list[str]:
        """The fields of view that the layout tables of a dataset use."""
        return sorted({self.experiments[str(row.experiment)].field for row in self.layout_rows(dataset)})

    def density_rows(self, dataset: str) -> list[Row]:
        """Rows whose maps hold a density, read by the protocol `paper`."""
        rows = self.layout_rows(dataset)
        return [row for row in rows if self.experiments[str(row.experiment)].density and row.decoder == "components"]

    def density_sources(self, dataset: str) -> list[Source]:
        """The layouts of `density_rows`, in files that also hold their generated density maps."""
        return [self.source(dataset, row) for row in self.density_rows(dataset)]

    def fitted_maps(self, dataset: str) -> list[Source]:
        """The fitted density maps of `density_rows`, each estimator once."""
        found = {}
        for row in self.density_rows(dataset):
            label = f"real, {self.experiments[str(row.experiment)].density}"
            found[label] = self.outputs.density(dataset, str(row.experiment))[0]
        return [Source(label, file, None) for label, file in found.items()]

    def training_logs(self, dataset: str, training: str) -> list[Source]:
        """The losses of each training of one kind, first seed; for detectors the first fraction of synthetic crops."""
        layouts, painted = self.tables.all_rows(dataset, "layouts"), self.painted_rows(dataset)
        if training == "train_features":
            names = [name for row in layouts for name in self.tables.networks(str(row.experiment), str(row.decoder))]
        elif training == "train_image":
            names = self._trained_painters(painted)
        elif training == "train_layout":
            names = list(self.outputs.trainings(dataset))
        else:
            names = self._detectors(dataset)
        folder = f"{self.outputs.folder(dataset)}/{training}"
        return [Source(name, f"{folder}/{name}/{self.first_seed}/losses.csv", None) for name in sorted(set(names))]

    def _trained_painters(self, rows: list[Row]) -> list[str]:
        names = [self.experiments.painter(str(row.experiment)) for row in rows]
        return [name for name in names if self.outputs.is_trained_painter(name)]

    def _detectors(self, dataset: str) -> list[str]:
        found = []
        for row in self.tables.all_rows(dataset, "detections"):
            for detector in self.tables.detectors(row.table):
                mix = self.outputs.mixes(detector, row.experiment)[0]
                found.append(f"{detector}/{row.pairs}/mix{mix}")
        if self.tables.all_rows(dataset, "images"):
            found.append(f"{self.config['metrics']['image_quality']['detector']}/real_only/points/mix0")
        return found

    def pair_files(self, dataset: str, experiment: str, decoder: str) -> dict[str, str]:
        """The layouts of an experiment and the images that were painted for them, first seed."""
        return {
            "layouts": self.outputs.layouts(dataset, experiment, "train", self.first_seed),
            "painted": self.outputs.painted(dataset, experiment, decoder, self.first_seed),
        }

    # -- the picture of a table ----------------------------------------------------------------------------------

    def picture_columns(self, dataset: str, table: str) -> list[Source]:
        """The columns of a table's picture: the first seed of each row, without rows of real layouts."""
        kind, found = self.tables.kind(table), []
        for row in self.tables.rows(table):
            if kind == "detections":
                detector = self.tables.detectors(table)[0]
                folder = f"{self.outputs.folder(dataset)}/detect_cells/{detector}/{row.pairs}"
                found.append(Source(row.label, f"{folder}/{self.first_seed}/cells.h5", None))
            elif self._is_real(row):
                continue
            elif kind == "images":
                file = self.outputs.painted(dataset, str(row.experiment), row.decoder, self.first_seed)
                found.append(Source(row.label, file, None))
            else:
                found.append(self.source(dataset, row))
        return found

    def picture_inputs(self, dataset: str, table: str) -> dict[str, str | list[str]]:
        """The input files of a picture: real layouts, or test images and their cells; then the columns."""
        columns = [one.file for one in self.picture_columns(dataset, table)]
        if self.tables.kind(table) == "layouts":
            first = str(self.tables.rows(table)[0].experiment)
            return {"windows": self.outputs.targets_of(dataset, first), "columns": columns}
        return {"cells": self.outputs.cells(dataset), "images": self.outputs.images(dataset), "columns": columns}

    # -- outputs of a run ------------------------------------------------------------------------------------------

    def figures(self, dataset: str) -> list[str]:
        """The figures of a dataset except the pictures of its tables."""
        folder, tables = self.folder(dataset), [table for _, table in self.tables.wanted(dataset)]
        painted = {f"{folder}/images/{row.experiment}-{row.decoder}.png" for row in self.painted_rows(dataset)}
        curves = [f"{folder}/{one}.png" for one in TRAININGS if self.training_logs(dataset, one)]
        copies = {
            f"{folder}/copies/{row.experiment}-{row.decoder}.png"
            for row in self.tables.all_rows(dataset, "images")
            if not self._is_real(row) and (row.experiment, row.decoder) in self.tables.audited(dataset)
        }
        densities = [f"{folder}/density.png"] if self.density_rows(dataset) else []
        radii = [
            f"{folder}/radii-{table}.png"
            for table in tables
            if self.tables.kind(table) == "detections" and self.config["tables"][table]["figures"]
        ]
        intervals = [f"{folder}/intervals-{table}.png" for table in tables if self.tables.has_intervals(table)]
        windows = [f"{folder}/{kind}-{name}.png" for name in self.fields(dataset) for kind in ("counts", "persistence")]
        return intervals + radii + sorted(painted) + sorted(copies) + curves + densities + windows

    def all_figures(self) -> list[tuple[str, str]]:
        """(dataset, file) of every figure except the pictures of the tables."""
        return [(dataset, figure) for dataset in self.config["run"]["datasets"] for figure in self.figures(dataset)]

    def run_files(self) -> list[str]:
        """Every table and every figure of the configuration."""
        tables = [
            f"{self.outputs.folder(dataset)}/tables/{table}.{ending}"
            for dataset, table in self.tables.wanted()
            for ending in ("csv", "notes.json", "md", "tex", "png")
        ]
        return tables + [figure for _, figure in self.all_figures()]

    def shown_configuration(self) -> Any:
        """The configuration in the report: without resources, because the number of cores does not change the report,
        and without metrics that no table shows."""
        audited = any(map(self.tables.audited, self.config["run"]["datasets"]))
        shown = self.tables.all_metrics() | {"detection", "image_quality"} | ({AUDIT} if audited else set())
        metrics = {name: block for name, block in self.config["metrics"].items() if name in shown}
        return {key: value for key, value in self.config.items() if key != "resources"} | {"metrics": metrics}

    # -- galleries -------------------------------------------------------------------------------------------------

    def gallery(self, dataset: str) -> Any:
        """The contents of a dataset's gallery: layouts matched to the real layouts of each field, and painted pairs."""
        windows = [
            {"windows": self.outputs.targets(dataset, field), "columns": self.sources(dataset, field)}
            for field in self.fields(dataset)
        ]
        pairs = {}
        for row in self.painted_rows(dataset):
            experiment = str(row.experiment)
            pairs[experiment, row.decoder] = Pair(
                row.label,
                self.outputs.layouts(dataset, experiment, "train", self.first_seed),
                row.decoder,
                self.outputs.painted(dataset, experiment, row.decoder, self.first_seed),
            )
        return {"windows": [block for block in windows if block["columns"]], "pairs": list(pairs.values())}

    def gallery_inputs(self, dataset: str) -> list[str]:
        """The input files of a gallery."""
        section = self.gallery(dataset)
        layouts = [source.file for block in section["windows"] for source in block["columns"]]
        painted = [file for pair in section["pairs"] for file in (pair.layouts, pair.painted)]
        return sorted({*(block["windows"] for block in section["windows"]), *layouts, *painted})

    def galleries(self) -> list[str]:
        """The galleries of the datasets whose gallery is not empty."""
        datasets = self.config["run"]["datasets"]
        return [f"{self.outputs.folder(one)}/gallery.html" for one in datasets if any(self.gallery(one).values())]
