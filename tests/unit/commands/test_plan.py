"""`cellscaper plan`: the table of a run's cost, and bad input."""

import re
import subprocess
import sys

import pytest

from cellscaper import cli
from cellscaper.errors import CellscaperError
from cellscaper.plan.house import ROOT

SMALL = ROOT / "workflow" / "presets" / "brca-small.yaml"


@pytest.fixture
def table(capsys):
    """The lines that a command line prints."""

    def table(*argv):
        cli.call(["plan", *map(str, argv)])
        return capsys.readouterr().out.splitlines()

    return table


def total(lines):
    """GPU-hours of the sum."""
    return float(re.search(r"([0-9.]+) GPU-hours$", next(line for line in lines if line.startswith("sum: ")))[1])


def rows(lines):
    """(rule, method, jobs, GPU-hours) of each row."""
    found = (
        re.match(r"  (\w+) +([\w, .]+?)  +([0-9]+) (?:.*? )?((?:< )?[0-9]+\.[0-9])(?: |$)", line) for line in lines
    )
    return [(one[1], one[2], int(one[3]), 0.0 if one[4].startswith("<") else float(one[4])) for one in found if one]


def test_the_papers_cost_is_printed_with_all_that_belongs_to_it(table):
    lines = table()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "Configuration: config.yaml (the papers' run)"
    assert lines[1].startswith("Calculated for one A100 (80 GB), not measured; ± 30 %")
    assert {rule for rule, *_ in rows(lines)} == {
        "train_features", "start_layout", "train_layout", "sample_layouts", "train_image", "paint_images",
        "train_detector",
    }  # fmt: skip
    assert sum(hours for *_, hours in rows(lines)) == pytest.approx(total(lines), abs=3)
    text = "\n".join(lines)
    whole = " ".join(" ".join(lines).split())
    assert "lizard is left out: datasets.lizard.path is not set; download lizard_images1.zip" in whole
    assert re.search(r"it would add 2[0-9]\.[0-9] A100-days$", whole)
    for part in (
        "topocellgen, 554 M",
        "360 000",
        "8.9 GB",
        "the weights of adm_counts serve",
        "not counted: downloads",
    ):
        assert part in text


def test_an_overlay_alone_is_told_to_lie_over_the_papers_run_and_empty_parts_are_left_out(table, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("run: {datasets: [phantom], tables: [sd_table1]}", encoding="utf-8")
    text = " ".join(" ".join(table("--configfile", own)).split())
    assert text.startswith(f"Configuration: config.yaml (the papers' run), under {own} Calculated for one A100")
    assert "disk: " in text and "images" not in text.split("disk: ")[1].split("not counted")[0]


def test_a_short_run_is_told_in_minutes(table):
    text = "\n".join(table("--configfile", ROOT / "workflow" / "presets" / "brca-bundled.yaml"))
    assert "at least 1 minute; the longest chain of jobs takes 1 minute\n" in text


def test_generated_sets_are_named_as_not_counted(table, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("sets: {big: {dataset: brca_m2c, experiment: random, layouts: 1000, parts: 2}}", encoding="utf-8")
    lines = table("--configfile", SMALL, own)
    assert "not counted: the generated sets big (docs/large-sets.md)" in lines
    assert total(lines) == total(table("--configfile", SMALL))


@pytest.mark.slow
def test_a_faster_card_takes_less_and_several_cards_fewer_days(table):
    hours = {name: total(table("--card", name)) for name in ("a100", "h100", "a6000", "l40s")}
    assert total(table("--card", "H100")) == hours["h100"]
    assert hours["h100"] < hours["a100"] < hours["l40s"] < hours["a6000"]
    one, four = (
        float(re.search(r"at least ([0-9.]+) days", "\n".join(table("--gpus", n)))[1]) for n in (1, 4)
    )  # of paths that share nothing
    assert four == pytest.approx(one / 4, rel=0.01)
    many = float(re.search(r"at least ([0-9.]+) days", "\n".join(table("--gpus", 1000)))[1])
    assert many > 1  # a training is not split


@pytest.mark.slow
def test_overlays_and_single_keys_change_the_table(table):
    small = table("--configfile", SMALL)
    assert total(small) < total(table()) / 100 and "lizard" not in " ".join(small)
    one = table("--config", "seeds=[0]", "run={datasets: [brca_m2c]}")
    three = table("--config", "seeds=[0, 1, 2]", "run={datasets: [brca_m2c]}")
    assert total(one) == pytest.approx(total(three) / 3, rel=0.01)
    assert [3 * jobs for rule, _, jobs, _ in rows(one) if rule == "train_layout"] == [
        jobs for rule, _, jobs, _ in rows(three) if rule == "train_layout"
    ]


def test_a_run_whose_tables_a_data_set_does_not_have_costs_nothing(table):
    lines = table("--config", "run={datasets: [lizard], tables: [sd_table1]}", "datasets={lizard: {path: x}}")
    assert "  nothing takes GPU time" in lines and total(lines) == 0


BAD = {
    "card": (["--card", "v100"], r"--card v100: no rates of this card; take the one of a100, h100, a6000, l40s .*"),
    "file": (["--configfile", "missing.yaml"], r"--configfile missing.yaml: there is no such file"),
    "gpus": (["--gpus", "0"], r"--gpus '0': expected a whole number from 1"),
    "key twice": (["--config", "seeds=[0]", "seeds=[1]"], r"--config 'seeds=\[1\]': expected KEY=VALUE, each key once"),
    "no value": (["--config", "seeds"], r"--config 'seeds': expected KEY=VALUE.*"),
    "no YAML": (["--config", "seeds=[0"], r"--config 'seeds=\[0': the value is not YAML.*"),
    "unknown key": (["--config", "seed=[0]"], r"unknown key 'seed' from --config; did you mean 'seeds'\?.*"),
    "wrong value": (["--config", "seeds=one"], r"seeds = 'one' from --config: .*"),
    "no data set": (["--config", "run={datasets: [lizard]}"], r"run.datasets: no data set is given: .*"),
    "argument": (["--cards", "a100"], r".*--cards.*"),
}


@pytest.mark.parametrize(("argv", "line"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(argv, line):
    with pytest.raises(CellscaperError) as caught:
        cli.call(["plan", *argv])
    assert re.fullmatch(line, str(caught.value)), str(caught.value)


def test_an_unknown_key_of_a_file_is_told_with_the_file(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("experiments: {adm: {trainin: {steps: 5}}}\n", encoding="utf-8")
    with pytest.raises(CellscaperError, match=r"unknown key 'experiments.adm.trainin' in .*mine.yaml.*'training'"):
        cli.call(["plan", "--configfile", str(mine)])


def test_it_starts_quickly_and_without_torch():
    """Processor time, which other work on the machine does not change much."""
    code = (
        "import sys, time; from cellscaper import cli; cli.call(['plan']); "
        "print(time.process_time(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, torch = done.stdout.splitlines()[-1].split()
    assert float(seconds) <= 2 and torch == "False"


def test_the_help_lists_it(capsys):
    with pytest.raises(SystemExit):
        cli.call(["--help"])
    assert re.search(r"^    plan +what a run of the workflow costs", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x\xff\xfey", "is not text in UTF-8 (invalid start byte at byte 1)"),
        (b"- a\n- b\n", "holds list, expected keys of the configuration"),
        (b"seeds", "holds str, expected keys of the configuration"),
        (b"run: [1\n", "is not YAML: "),
        (b"run: \x01\n", "is not YAML: "),
        (b"experiments: &a {adm: *a}", "has a map that contains itself"),
        (b"experiments: {adm: {training: {steps: 1" + b"0" * 400 + b"}}}", "numbers too large to calculate with"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(tmp_path, content, message):
    own = tmp_path / "own.yaml"
    own.write_bytes(content)
    with pytest.raises(CellscaperError) as caught:
        cli.call(["plan", "--configfile", str(own)])
    assert message in str(caught.value)
