from collections import Counter

import numpy as np

from cellscaper.disk.storage import write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.pages.origin import Origin, origin, origin_rows


def test_origin_counts_the_provenance_of_hdf5_and_weights(tmp_path):
    (tmp_path / "toy").mkdir()
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (8, 8))
    layouts = LayoutSet.build([empty], ["a"], 0.5)
    about = {"git": "abc", "cellscaper": "1.0", "python": "3.11", "libraries": {"numpy": "2.0"}, "seed": 3}
    write_layouts(tmp_path / "toy/a.h5", layouts, about)
    write_weights(tmp_path / "toy/b.safetensors", {}, {**about, "git": "def", "seed": 1})
    found = origin(tmp_path, ["toy"])
    assert found.commits == {"abc": 1, "def": 1} and found.libraries["numpy"] == {"2.0": 2}
    assert found.seeds == [1, 3] and found.files == 2


def test_several_origins_are_told_with_their_numbers():
    found = Origin(Counter({"abc": 3, "def": 1}), Counter({"1.0": 4}), Counter({"3.11": 4}), {}, [0], 4)
    assert origin_rows(found) == [("cellscaper", "1.0"), ("commit", "abc (3 files), def (1 files)"), ("Python", "3.11")]
