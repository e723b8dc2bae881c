"""GeoJSON in the form of QuPath (File → Import objects from file).

A FeatureCollection with a point for each cell: ``objectType: detection``, ``classification: {name, color: [r, g, b]}``,
coordinates x, y in px. ``properties.layout`` is the number of the layout; the member ``cellscaper`` of the collection
holds head and facts (:mod:`cellscaper.disk.formats.facts`). GeoJSON of other programs is read by
:mod:`cellscaper.disk.formats.geojson_cells`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cellscaper.disk.files import atomic
from cellscaper.disk.formats.facts import (
    Append,
    Cells,
    Columns,
    Given,
    Json,
    Say,
    assemble,
    decimals,
    dump,
    facts,
    head,
)
from cellscaper.disk.formats.foreign import read_foreign
from cellscaper.disk.formats.geojson_cells import add_features, features
from cellscaper.disk.formats.reading import parse, read_text, reading
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.figures.palette import rgb


@contextmanager
def write(path: Path, classes: Sequence[str], mpp: float, images: bool = False) -> Iterator[Append]:
    """Yield a function that appends one layout. ``images``: whether each cell has its layout's source as ``image``."""
    looks = [dump({"name": name, "color": list(shade)}) for name, shade in zip(classes, rgb(classes), strict=True)]
    said: list[Json] = []
    with atomic(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        comma = ""

        def append(layout: Layout, columns: Columns) -> None:
            nonlocal comma
            image = f', "image": {dump(layout.source)}' if images else ""
            for (y, x), label in zip(decimals(layout.points), layout.labels.tolist(), strict=True):
                file.write(
                    f'{comma}\n{{"type": "Feature", "geometry": {{"type": "Point", "coordinates": [{x}, {y}]}}, '
                    f'"properties": {{"objectType": "detection", "classification": {looks[label]}, '
                    f'"layout": {len(said)}{image}}}}}'
                )
                comma = ","
            said.append(facts(layout, columns))

        yield append
        own = {**head(classes, mpp), "layouts": said}
        file.write(f'\n], "cellscaper": {dump(own)}}}\n')


def read(path: Path, given: Given, say: Say) -> LayoutSet:
    """The layouts of a GeoJSON file; CellscaperError for any other file."""
    text = read_text(path)
    with reading(path, "GeoJSON of classified points"):
        data = parse(text)
        own = data.get("cellscaper") if isinstance(data, dict) else None
        if own is None:
            return read_foreign(path, given, say, "geojson")
        cells = Cells([], [], [])
        add_features(cells, features(data))
        return assemble(path, cells, own, own["layouts"], given)
