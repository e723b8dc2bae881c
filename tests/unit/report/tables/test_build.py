import io
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.plan.tables import described
from cellscaper.report.tables.build import SCORE_COLUMNS, collect, load_paper_values
from cellscaper.report.tables.build import build as build_table
from cellscaper.report.tables.notes import Note, cell_notes, protocol_notes
from cellscaper.report.tables.table_file import to_csv
from cellscaper.report.tables.text import to_latex, to_markdown

BRCA = ("lymphocyte", "epithelial", "stromal")
LIZARD = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")
TABLE = {
    "title": "Layout quality",
    "kind": "layouts",
    "source": "TopoCellGen, Table 1",
    "rows": {
        "floor": {"label": "real vs real", "experiment": "real_vs_real", "decoder": "points"},
        "adm": {"label": "ADM", "experiment": "adm", "decoder": "components"},
        "tmccg": {"label": "TMCCG", "experiment": None, "why": "generator not built yet"},
        "topocellgen": {"label": "TopoCellGen"},
    },
    "columns": [
        {"metric": "spatial_fid", "label": "FID", "lower": True},
        {"metric": "cce", "class": "*"},
        {"metric": "tce", "label": "TCE"},
        {"metric": "topofd_mean_landscape", "label": "TopoFD (mean landscape)", "paper": "topofd"},
    ],
}
ADM_TCE = [5.0, 5.5, 5.9]


def build(table, *rest):
    """The table with each column's direction and label as planning fills them in."""
    return build_table({**table, "columns": [described("t", column) for column in table["columns"]]}, *rest)


@pytest.fixture(scope="module")
def paper() -> dict:
    return load_paper_values()


def line(
    experiment: str,
    decoder: str,
    seed: int,
    metric: str,
    name: str,
    value: object,
    dataset: str = "brca_m2c",
    detector: str = "",
):
    return (dataset, experiment, decoder, detector, seed, metric, name, value, 1550)


def score_file(path: Path, lines: list) -> Path:
    pd.DataFrame(lines, columns=list(SCORE_COLUMNS)).to_csv(path, index=False)
    return path


@pytest.fixture
def scores(tmp_path: Path) -> pd.DataFrame:
    files = []
    for seed, tce in enumerate(ADM_TCE):
        lines = [line("adm", "components", seed, "cce", name, 10 * i + seed) for i, name in enumerate(BRCA)]
        lines += [line("adm", "components", seed, "tce", "", tce)]
        lines += [line("adm", "components", seed, "topofd_mean_landscape", "", 100 + seed)]
        files.append(score_file(tmp_path / f"adm{seed}.csv", lines))
        files.append(score_file(tmp_path / f"peaks{seed}.csv", [line("adm", "peaks", seed, "tce", "", 99.0)]))
    files.append(score_file(tmp_path / "floor.csv", [line("real_vs_real", "points", 0, "tce", "", 7.25)]))
    return collect(files)


@pytest.fixture
def frame(scores: pd.DataFrame, paper: dict) -> pd.DataFrame:
    return build(TABLE, "brca_m2c", BRCA, scores, paper["tc_table1"])


def cell(frame: pd.DataFrame, row: str, metric: str, name: str = "") -> pd.Series:
    found = frame[(frame["row"] == row) & (frame["metric"] == metric) & (frame["class"] == name)]
    assert len(found) == 1
    return found.iloc[0]


# -- the papers' numbers, typed a second time in the order of the papers' columns ---------------------------

TC_BRCA = ["spatial_fid", "cce/lymphocyte", "cce/epithelial", "cce/stromal", "tce", "topofd", "mmd"]
TC_LIZARD = ["spatial_fid", *(f"cce/{name}" for name in ("lymphocyte", "epithelial", "neutrophil", "plasma"))]
TC_LIZARD += ["cce/eosinophil", "cce/connective", "tce", "topofd", "mmd"]
F1 = ["f1/lymphocyte", "f1/epithelial", "f1/stromal", "f1/mean", "f1/detection"]
THREE = ["spatial_fid", "tce", "topofd"]


@pytest.mark.parametrize(
    ("table", "dataset", "row", "columns", "numbers"),
    [
        ("tc_table1", "brca_m2c", "adm", TC_BRCA, "1.150 13.757 40.230 15.491 22.465 133.012 0.732"),
        ("tc_table1", "brca_m2c", "tmccg", TC_BRCA, "0.634 11.503 34.032 12.907 19.687 89.252 0.635"),
        ("tc_table1", "brca_m2c", "spatial_diffusion", TC_BRCA, "0.263 10.852 35.954 13.496 20.806 97.584 0.589"),
        ("tc_table1", "brca_m2c", "topocellgen", TC_BRCA, "0.005 2.090 3.824 2.468 5.192 69.354 0.421"),
        ("tc_table1", "lizard", "adm", TC_LIZARD, "0.059 16.508 11.796 1.123 4.328 1.598 10.737 23.964 65.910 0.783"),
        ("tc_table1", "lizard", "tmccg", TC_LIZARD, "1.093 15.548 10.011 2.376 4.293 1.872 11.643 22.604 63.120 0.667"),
        ("tc_table1", "lizard", "spatial_diffusion", TC_LIZARD,
         "0.137 10.740 9.062 3.040 6.552 2.173 11.225 20.606 79.591 0.883"),
        ("tc_table1", "lizard", "topocellgen", TC_LIZARD,
         "0.027 6.155 6.560 1.022 2.982 1.167 7.288 11.590 31.607 0.536"),
        ("tc_table3", "brca_m2c", "count_intra", THREE, "0.232 6.854 85.672"),
        ("tc_table3", "brca_m2c", "intra_inter", THREE, "0.327 17.573 73.612"),
        ("tc_table4", "brca_m2c", "weight_1e-4", THREE, "0.012 8.275 88.627"),
        ("tc_table5", "brca_m2c", "lr_times_0.5", THREE, "0.015 6.314 81.397"),
        ("sd_table1", "brca_m2c", "gmcm", THREE[:1], "0.953"),
        ("sd_table3", "brca_m2c", "k10", THREE[:1], "0.231"),
        ("sd_table4", "brca_m2c", "bandwidth_0.05", THREE[:1], "1.41"),
        ("sd_table5", "brca_m2c", "components_8", THREE[:1], "0.365"),
    ],
)  # fmt: skip
def test_paper_values_equal_the_papers_rows(paper, table, dataset, row, columns, numbers):
    assert paper[table][dataset][row] == dict(zip(columns, map(float, numbers.split()), strict=True))


@pytest.mark.parametrize(
    ("row", "unet", "mcspatnet"),
    [
        ("real", ".498 .744 .476 .572 .838", ".635 .785 .553 .658 .849"),
        ("random", ".625 .735 .472 .611", ".652 .772 .506 .644"),
        ("tmccg", ".650 .768 .511 .644", ".678 .800 .522 .667"),
        ("no_density", ".641 .784 .537 .654 .856", ".647 .788 .543 .659 .850"),
        ("kde", ".642 .800 .545 .662 .853", ".652 .793 .556 .667 .845"),
        ("gmm", ".647 .797 .554 .666 .853", ".639 .804 .563 .669 .855"),
        ("gmcm", ".658 .786 .536 .660 .852", ".615 .806 .555 .659 .850"),
    ],
)
def test_paper_values_of_sd_detection(paper, row, unet, mcspatnet):
    for detector, text in (("unet", unet), ("mcspatnet", mcspatnet)):
        numbers = [*map(float, text.split()), None][:5]
        assert paper["sd_table2"]["brca_m2c"][row][detector] == dict(zip(F1, numbers, strict=True))


@pytest.mark.parametrize(
    ("row", "unet", "mcspatnet"),
    [
        ("real", ".569±.010 .736±.012 .507±.015 .604±.011 .857±.006",
         ".615±.008 .777±.010 .540±.013 .644±.009 .855±.005"),
        ("random", ".549±.009 .693±.014 .472±.016 .571±.013 .848±.008",
         ".578±.009 .756±.012 .502±.014 .612±.010 .851±.006"),
        ("tmccg", ".650±.007 .768±.010 .511±.012 .643±.009 .852±.005",
         ".678±.006 .800±.005 .522±.014 .667±.007 .853±.004"),
        ("spatial_diffusion", ".647±.006 .797±.003 .554±.011 .666±.007 .853±.005",
         ".639±.005 .804±.007 .563±.012 .669±.006 .855±.005"),
        ("topocellgen", ".656±.003 .803±.005 .574±.004 .678±.004 .860±.004",
         ".652±.004 .817±.006 .582±.005 .684±.004 .862±.004"),
    ],
)  # fmt: skip
def test_paper_values_of_tc_detection(paper, row, unet, mcspatnet):
    for detector, text in (("unet", unet), ("mcspatnet", mcspatnet)):
        pairs = [tuple(map(float, part.split("±"))) for part in text.split()]
        found = paper["tc_table2"]["brca_m2c"][row][detector]
        assert [(found[name]["value"], found[name]["sd"]) for name in F1] == pairs


def test_every_row_of_a_paper_table_has_all_columns(paper):
    assert set(paper) == {f"{who}_table{i}" for who in ("sd", "tc") for i in range(1, 6)}
    for table, datasets in paper.items():
        for dataset, rows in datasets.items():
            cells = [one for row in rows.values() for one in (row.values() if table.endswith("2") else [row])]
            assert len({frozenset(one) for one in cells}) == 1, (table, dataset)
            for name in cells[0]:
                known = {"", "mean", "detection", *(LIZARD if dataset == "lizard" else BRCA)}
                assert name.partition("/")[2] in known, (table, dataset, name)


@pytest.mark.parametrize("table", ["sd_table2", "tc_table2"])
def test_the_papers_mean_f1_is_the_mean_of_the_classes(paper, table):
    for detectors in paper[table]["brca_m2c"].values():
        for values in detectors.values():
            number = {k: v["value"] if isinstance(v, dict) else v for k, v in values.items()}
            assert number["f1/mean"] == pytest.approx(np.mean([number[name] for name in F1[:3]]), abs=0.0016)


def test_ablations_repeat_the_main_table_where_they_are_the_same_run(paper):
    best = {name: paper["tc_table1"]["brca_m2c"]["topocellgen"][name] for name in THREE}
    for table, row in (("tc_table3", "all"), ("tc_table4", "weight_5e-4"), ("tc_table5", "lr_times_1")):
        assert paper[table]["brca_m2c"][row] == best
    assert paper["sd_table5"]["brca_m2c"]["bic"] == paper["sd_table1"]["brca_m2c"]["gmm"]


# -- collect -----------------------------------------------------------------------------------------------


def test_collect_keeps_the_empty_class_and_reads_a_missing_value_as_nan(tmp_path):
    text = ",".join(SCORE_COLUMNS) + "\nd,NA,None,,3,tce,,1.5,10\nd,NA,None,,3,f1,x,,10\n"
    (tmp_path / "s.csv").write_text(text)
    found = collect([tmp_path / "s.csv"])
    assert found["class"].tolist() == ["", "x"]
    assert found["experiment"].tolist() == ["NA", "NA"]
    assert found["value"].iloc[0] == 1.5
    assert math.isnan(found["value"].iloc[1])
    assert found["seed"].tolist() == [3, 3]


HEADER = ",".join(SCORE_COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable CSV"),
        ("dataset,experiment\nd,e\n", "no column 'decoder'"),
        (HEADER + "d,e,x,,0,tce,,1.5,10\nd,e,x,,1,tce,,much,10\n", "line 3: value 'much' is not a number"),
        (HEADER + "d,e,x,,0.5,tce,,1.5,10\n", "line 2: seed '0.5' is not a whole number"),
        (HEADER + "d,e,x,,0,tce,,1.5,\n", "line 2: n '' is not a whole number"),
        (HEADER + "d,e,x,,0,tce,,1.5,inf\n", "line 2: n 'inf' is not a whole number"),
    ],
)
def test_a_malformed_score_file_is_named_in_one_line(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(CellscaperError, match=re.escape(message)) as error:
        collect([path])
    assert "bad.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_or_binary_score_file_is_an_error(tmp_path):
    with pytest.raises(CellscaperError, match="does not exist"):
        collect([tmp_path / "none.csv"])
    (tmp_path / "png.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe\x00")
    with pytest.raises(CellscaperError, match="png.csv"):
        collect([tmp_path / "png.csv"])


def test_the_same_score_twice_is_an_error(tmp_path):
    path = score_file(tmp_path / "s.csv", [line("adm", "components", 0, "tce", "", 1.0)])
    with pytest.raises(CellscaperError, match="brca_m2c adm components 0 tce.*twice"):
        collect([path, path])


def test_no_score_files_make_a_table_of_cells_not_run(paper):
    frame = build(TABLE, "brca_m2c", BRCA, collect([]), paper["tc_table1"])
    assert frame["status"].str.startswith("not run: ").all()
    assert to_markdown(frame, "t").count("not run") >= len(frame)


# -- build -------------------------------------------------------------------------------------------------


def test_rows_and_columns_keep_the_order_of_the_config(frame):
    assert frame["row"].drop_duplicates().tolist() == list(TABLE["rows"])
    labels = ["FID", "CCE lymphocyte", "CCE epithelial", "CCE stromal", "TCE", "TopoFD (mean landscape)"]
    assert frame["column_label"].tolist() == labels * len(TABLE["rows"])


def test_mean_sd_and_difference_are_over_seeds(frame):
    found = cell(frame, "adm", "tce")
    mean = sum(ADM_TCE) / 3
    assert found["mean"] == pytest.approx(mean)
    assert found["sd"] == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in ADM_TCE) / (3 - 1)))
    assert found["n"] == 3
    assert found["paper"] == 22.465
    assert found["difference"] == pytest.approx(mean - 22.465)
    assert found["samples"] == 1550
    assert found["status"] == "ok"
    assert cell(frame, "adm", "cce", "stromal")["mean"] == pytest.approx(21.0)


def test_one_seed_has_no_sd(frame):
    found = cell(frame, "floor", "tce")
    assert (found["mean"], found["n"]) == (7.25, 1)
    assert math.isnan(found["sd"])
    assert math.isnan(found["paper"])


def test_scores_of_other_datasets_experiments_and_decoders_stay_out(tmp_path, scores, paper):
    other = score_file(tmp_path / "o.csv", [line("adm", "components", 9, "tce", "", 1e6, dataset="lizard")])
    both = pd.concat([scores, collect([other])])
    assert cell(build(TABLE, "brca_m2c", BRCA, both, {}), "adm", "tce")["mean"] == pytest.approx(np.mean(ADM_TCE))


def test_two_decoders_in_one_cell_are_an_error(scores):
    table = {**TABLE, "rows": {"adm": {"label": "ADM"}}}
    with pytest.raises(CellscaperError, match="components and peaks"):
        build(table, "brca_m2c", BRCA, scores, {})


def test_cells_not_run_say_why(frame):
    assert cell(frame, "tmccg", "tce")["status"] == "not run: generator not built yet"
    assert cell(frame, "adm", "spatial_fid")["status"] == "not run: spatial_fid was not computed"
    assert cell(frame, "topocellgen", "tce")["status"] == "not run: no scores of experiment topocellgen on brca_m2c"
    assert cell(frame, "tmccg", "tce")["paper"] == 19.687
    assert math.isnan(cell(frame, "tmccg", "tce")["difference"])


def test_a_row_left_out_says_its_own_reason_though_it_names_an_experiment():
    row = {"label": "ADM", "experiment": "adm", "decoder": "components", "why": "too slow"}
    table = {**TABLE, "rows": {"adm": row}}
    frame = build(table, "brca_m2c", BRCA, collect([]), {})
    assert set(frame["status"]) == {"not run: too slow"}


def test_an_undefined_seed_is_not_averaged_away(tmp_path):
    lines = [line("adm", "components", seed, "tce", "", value) for seed, value in enumerate([1.0, math.nan])]
    frame = build(TABLE, "brca_m2c", BRCA, collect([score_file(tmp_path / "s.csv", lines)]), {})
    assert cell(frame, "adm", "tce")["status"] == "not run: tce is undefined for 1 of 2 seeds"
    assert math.isnan(cell(frame, "adm", "tce")["mean"])


def test_a_column_of_another_definition_shows_the_papers_number_without_a_difference(frame):
    found = cell(frame, "adm", "topofd_mean_landscape")
    assert found["paper"] == 133.012
    assert math.isnan(found["difference"])
    assert found["note"]


def test_a_mean_over_classes_stands_beside_the_papers_one_number(tmp_path, paper):
    column = {"metric": "topofd_mean_landscape", "class": "mean", "label": "TopoFD", "paper": "topofd"}
    scores = [line("adm", "components", 0, column["metric"], name, i) for i, name in enumerate((*BRCA, "mean"))]
    table = {**TABLE, "columns": [column]}
    frame = build(table, "brca_m2c", BRCA, collect([score_file(tmp_path / "s.csv", scores)]), paper["tc_table1"])
    found = cell(frame, "adm", column["metric"], "mean")
    assert (found["mean"], found["paper"], found["column_label"]) == (3, 133.012, "TopoFD")


def test_detection_columns_pick_the_detector_in_scores_and_paper(tmp_path, paper):
    lines = [
        line("plus_gmm", "", seed, "f1", name, value + seed / 100, detector=detector)
        for detector, value in (("unet", 0.5), ("mcspatnet", 0.7))
        for seed in (0, 1)
        for name in (*BRCA, "mean", "detection")
    ]
    columns = [
        {"metric": "f1", "class": name, "detector": detector}
        for detector in ("unet", "mcspatnet")
        for name in ("*", "detection")
    ]
    rows = {"ours": {"label": "+ GMM", "experiment": "plus_gmm", "paper": "spatial_diffusion"}}
    table = {"kind": "detections", "source": "TopoCellGen, Table 2", "rows": rows, "columns": columns}
    scores = collect([score_file(tmp_path / "s.csv", lines)])
    frame = build(table, "brca_m2c", BRCA, scores, paper["tc_table2"])
    assert frame["mean"].tolist() == pytest.approx([0.505] * 4 + [0.705] * 4)
    assert frame["paper"].tolist() == [0.647, 0.797, 0.554, 0.853, 0.639, 0.804, 0.563, 0.855]
    assert frame["paper_sd"].tolist() == [0.006, 0.003, 0.011, 0.005, 0.005, 0.007, 0.012, 0.005]
    assert not frame["lower_is_better"].any()
    assert "0.505 ± 0.007 (2) · 0.647 ± 0.006 · −0.142" in to_markdown(frame, "t")
    notes = [note.text for note in protocol_notes(table, frame)]
    assert notes[1:] == ["scored on 1550 images a seed", "detector: mcspatnet, unet"]
    assert "decoder" not in frame


# -- text --------------------------------------------------------------------------------------------------


def parts(markdown: str) -> list[list[str]]:
    lines = [text for text in markdown.splitlines() if text.startswith("|")]
    return [[part.strip() for part in re.split(r"(?<!\\)\|", text)[1:-1]] for text in lines]


def test_markdown_cells_show_ours_paper_and_difference(frame):
    header, rule, floor, adm, tmccg, ours = parts(to_markdown(frame, "Layout quality"))
    assert header == ["", "FID ↓", *(f"CCE {name} ↓" for name in BRCA), "TCE ↓", "TopoFD (mean landscape) ↓"]
    assert set("".join(rule)) == {"-"}
    assert floor[5] == "7.25 (1) · –"
    assert adm[0] == "ADM"
    assert adm[5] == "5.47 ± 0.45 (3) · 22.465 · −17.00"
    assert adm[6] == "101.0 ± 1.0 (3) · 133.012† · –"
    assert tmccg[5] == "not run⁴ · 19.687"
    assert len({len(row) for row in (header, rule, floor, adm, tmccg, ours)}) == 1


def test_markdown_lists_the_reasons_and_notes_below(frame):
    notes = [*cell_notes(frame), *protocol_notes(TABLE, frame), Note("pairs unrelated windows")]
    text = to_markdown(frame, "Layout quality", notes)
    assert text.startswith("### Layout quality\n\n|")
    below = text.rpartition("|\n")[2]
    assert "- ⁴ generator not built yet\n" in below
    assert "- † TopoFD (mean landscape): the number beside ours is the paper's TopoFD; the definitions differ" in below
    assert "- paper: TopoCellGen, Table 1\n- scored on 1550 layouts a seed\n" in below
    assert "- decoder: components (“ADM”); points (“real vs real”)\n- pairs unrelated windows\n" in below


def test_markdown_columns_line_up_and_bars_are_escaped(scores):
    rows = {"adm": {"label": "a|b", "decoder": "components"}, "tmccg": {"label": "T", "experiment": None}}
    text = to_markdown(build({**TABLE, "rows": rows}, "brca_m2c", BRCA, scores, {}), "t")
    lines = [found for found in text.splitlines() if found.startswith("|")]
    assert len({len(found) for found in lines}) == 1
    assert parts(text)[2][0] == r"a\|b"


def test_a_table_without_paper_values_shows_ours_alone(scores):
    text = to_markdown(build(TABLE, "brca_m2c", BRCA, scores, {}), "t")
    assert parts(text)[3][5] == "5.47 ± 0.45 (3)"
    assert "the paper has no numbers here" in text
    assert "†" not in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(133.0121, "133.0"), (5.312, "5.31"), (0.0391, "0.039"), (0.00012345, "0.000123"), (0.0, "0.00")],
)
def test_decimals_follow_the_size_of_the_number(tmp_path, value, shown):
    scores = collect([score_file(tmp_path / "s.csv", [line("adm", "components", 0, "tce", "", value)])])
    assert parts(to_markdown(build(TABLE, "brca_m2c", BRCA, scores, {}), "t"))[3][5] == f"{shown} (1)"


def test_csv_gives_all_numbers_in_full(frame):
    back = pd.read_csv(io.StringIO(to_csv(frame)), keep_default_na=False, na_values={"mean": [""], "sd": [""]})
    assert back["mean"].to_numpy() == pytest.approx(frame["mean"].to_numpy(), nan_ok=True, rel=1e-15)
    assert back["status"].tolist() == frame["status"].tolist()
    assert "\r" not in to_csv(frame)


def test_latex_escapes_what_latex_would_read_as_commands(scores, paper):
    rows = {"adm": {"label": r"50% A_b & #1 {x} $5 \o ~ ^", "decoder": "components"}}
    frame = build({**TABLE, "rows": rows}, "brca_m2c", BRCA, scores, paper["tc_table1"])
    notes = [*cell_notes(frame), Note("count errors of “real vs real” pairs")]
    text = to_latex(frame, "Size < 3 µm", notes)
    escaped = r"50\% A\_b \& \#1 \{x\} \$5 \textbackslash{}o \textasciitilde{} \textasciicircum{}"
    assert escaped in text
    assert r"\caption{Size \textless{} 3 $\mu$m}" in text
    assert "count errors of ``real vs real'' pairs." in text
    assert r"5.47 $\pm$ 0.45 (3) $\cdot$ 22.465 $\cdot$ $-$17.00" in text
    assert r"not run\textsuperscript{1}" in text
    assert r"133.012\textdagger{} $\cdot$ --" in text
    assert text.isascii()


def test_latex_is_balanced_and_every_line_has_all_columns(frame):
    text = to_latex(frame, "Layout quality", [*cell_notes(frame), *protocol_notes(TABLE, frame)])
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    assert text.count("{") == text.count("}")
    body = [found for found in text.splitlines() if found.endswith(r"\\")]
    assert len(body) == 1 + len(TABLE["rows"])
    assert {len(re.findall(r"(?<!\\)&", found)) for found in body} == {6}
    assert [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == sorted(
        text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")
    )
