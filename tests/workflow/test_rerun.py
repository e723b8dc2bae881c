"""A second call does nothing; a change reruns what depends on it and nothing else."""

import ast
import csv
import os
import re

import pytest
from safetensors.torch import save_file

from cellscaper.diffusion.unet import UNet
from cellscaper.disk.files import checksum
from cellscaper.disk.weights import read_weights
from cellscaper.painters.adm_weights import adm_name

GMM = "src/cellscaper/density/gmm.py"
ADM = "src/cellscaper/generators/adm.py"
MAPS = {  # experiments of `ci` on layout maps
    "adm",
    "adm_category",
    "adm_counts",
    "sd_gmm",
    "tc_sd_gmm",
    "topocellgen",
    "topocellgen_losses_released",
}
BEGUN = {"adm_counts", "topocellgen", "topocellgen_losses_released"}  # of `ci`: they share a beginning
TRAINING = {"start_layout", "train_layout", "train_features", "train_image", "train_detector"}


def downstream(jobs, start):
    """The names of the jobs that ``start`` picks and of all that read what they make."""
    found = {job.name for job in jobs if start(job)}
    made = {file for job in jobs if job.name in found for file in job.files("output")}
    while True:
        more = [job for job in jobs if job.name not in found and made & set(job.files("input"))]
        if not more:
            return found
        found |= {job.name for job in more}
        made |= {file for job in more for file in job.files("output")}


def names(jobs):
    return {job.name for job in jobs}


def reformatted(source):
    """The same code with other comments, docstrings, quotes and line breaks."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0].value.value += " Said otherwise."
    return "# a comment\n" + ast.unparse(tree).replace("\n\n", "\n# another\n\n\n") + "\n"


def with_another_number(source):
    """The code with the first positive number in it raised by one."""
    tree = ast.parse(source)
    number = next(n for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) in (int, float))
    number.value += 1
    return ast.unparse(tree)


def edit(workflow, path, change):
    file = workflow.folder / path
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")


# -- the whole run -------------------------------------------------------------------------------------------


def test_ci_preset_runs_every_rule_within_a_quarter_of_an_hour_of_processor_time(whole_run, jobs, house):
    stages = {file.stem for file in (house.folder / "src/cellscaper/stages").glob("[!_]*.py")}
    assert {job.rule for job in jobs} == stages
    _, ended = whole_run
    # About 250 s on an AMD EPYC (Zen 4), 385 s of the same code on an Intel Xeon, 700 s on a busy one: most is starting
    # Python
    assert ended.cpu < 900, f"{ended.cpu:.0f} s of CPU, {ended.seconds:.0f} s"


def test_every_cell_of_a_row_that_is_run_has_a_value(finished):
    with open(finished.folder / "results/phantom/tables/tc_table1.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    reasons = {row["status"] for row in rows if row["status"] != "ok"}
    assert reasons == {"not run: left out of this preset"}
    assert {"spatial_fid", "topofd", "mmd", "cross_k", "copies"} <= {row["metric"] for row in rows}


def test_second_call_does_nothing_within_ten_seconds(copy):
    ended = copy.snakemake(anew=True)
    assert ended.status == 0
    assert "Nothing to be done" in ended.text
    assert ended.cpu < 10, f"{ended.cpu:.1f} s of CPU, {ended.seconds:.1f} s"


def test_the_scheduler_looks_for_jobs_when_one_has_ended_and_no_more(house, tmp_path):
    """Snakemake's default rate made it look once a second for each job that had ended (19 times here)."""
    targets = [f"results/phantom/fit_density/{density}/stride4.h5" for density in ("gmm", "kde", "gmcm")]
    own = house.copy(tmp_path / "house")
    ended = own.run([*own.command("--verbose", cores=1), "--", *targets])
    assert ended.status == 0, ended.text
    jobs = len(re.findall(r"^Finished jobid: ", ended.text, re.MULTILINE))
    assert jobs == 5 and ended.text.count("Ready jobs: ") <= jobs + 1


def test_nothing_but_results_is_left(finished):
    left = [file for file in (finished.folder / "results").rglob("*") if "partial" in file.name or file.name == "state"]
    assert left == []


# -- code ----------------------------------------------------------------------------------------------------


def test_comments_docstrings_and_format_rerun_nothing(copy):
    files = [file for file in (copy.folder / "src").rglob("*.py") if file.read_text(encoding="utf-8")]
    for file in files:
        edit(copy, file.relative_to(copy.folder), reformatted)
    assert len(files) > 50
    assert copy.plan() == []


def test_a_number_in_a_density_reruns_its_maps_and_what_depends_on_them(copy, jobs):
    edit(copy, GMM, with_another_number)
    plan = copy.plan()
    assert names(plan) == downstream(jobs, lambda job: job.rule == "fit_density")
    assert {"fit_density", "train_layout", "sample_layouts", "score_layouts", "paint_images"} <= {j.rule for j in plan}
    assert {"train_detector", "detect_cells", "score_detections", "make_tables"} <= {j.rule for j in plan}
    assert {job.pairs("wildcards").get("experiment", "tc_sd_gmm") for job in plan} == {"sd_gmm", "tc_sd_gmm"}
    first = next(job for job in plan if job.rule == "fit_density")
    assert "code_cellscaper_density_gmm" in first.entries["reason"]
    assert "code_cellscaper_density_maps" not in first.entries["reason"]


def test_a_generator_reruns_its_own_experiments_alone(copy, jobs):
    edit(copy, ADM, lambda source: source + "\nLIMIT = 3\n")
    plan = copy.plan()
    own = [job for job in jobs if job.rule in ("train_layout", "sample_layouts")]
    own = names(job for job in own if job.pairs("wildcards")["experiment"] in ("adm", "adm_category", "adm_counts"))
    assert names(plan) == downstream(jobs, lambda job: job.name in own or job.rule == "start_layout")
    rerun = {job.pairs("wildcards").get("experiment", "adm") for job in plan}
    assert rerun == {"adm", "adm_category"} | BEGUN
    own = [job for job in plan if job.rule in ("start_layout", "train_layout")]
    begun = {job.name for job in own if "code_cellscaper_generators_adm" not in job.entries["reason"]}
    assert begun == {f"train_layout phantom/{name}/0" for name in BEGUN}  # Snakemake names the new input alone


def test_late_losses_do_not_rerun_the_beginning(copy, jobs):
    edit(copy, "src/cellscaper/topology/losses.py", lambda source: source + "\nLIMIT = 3\n")
    late = BEGUN - {"adm_counts"}
    rerun = {job.name for job in copy.plan() if job.rule in ("start_layout", "train_layout")}
    assert rerun == {f"train_layout phantom/{name}/0" for name in late}


@pytest.mark.parametrize(
    ("module", "experiments"),
    [
        ("generators/pointsets/network.py", {"point_diffusion", "tmccg"}),
        ("diffusion/unet.py", MAPS),
    ],
)
def test_a_network_reruns_its_own_systems_alone(copy, jobs, module, experiments):
    edit(copy, f"src/cellscaper/{module}", lambda source: source + "\nLIMIT = 3\n")
    rerun = {job.pairs("wildcards")["experiment"] for job in copy.plan() if job.rule == "train_layout"}
    trained = {job.pairs("wildcards")["experiment"] for job in jobs if job.rule == "train_layout"}
    assert rerun == experiments & trained


@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("stages/make_tables.py", {"make_tables"}),
        ("metrics/counts.py", {"score_layouts"}),
        ("stages/detect_cells.py", {"detect_cells"}),
    ],
)
def test_a_module_late_in_the_flow_reruns_no_training(copy, jobs, module, rules):
    edit(copy, f"src/cellscaper/{module}", lambda source: source + "\nLIMIT = 3\n")
    plan = copy.plan()
    assert names(plan) == downstream(jobs, lambda job: job.rule in rules)
    assert not TRAINING & {job.rule for job in plan}


# -- config --------------------------------------------------------------------------------------------------


def test_a_value_of_one_experiment_reruns_that_experiment_alone(copy, jobs):
    overlays = copy.overlay("own.yaml", "experiments: {adm_category: {training: {lr: 2.0e-3}}}")
    plan = copy.plan(overlays=overlays)
    assert names(plan) == downstream(
        jobs, lambda job: job.rule == "train_layout" and job.pairs("wildcards")["experiment"] == "adm_category"
    )
    assert {job.pairs("wildcards").get("experiment", "adm_category") for job in plan} == {"adm_category"}


@pytest.mark.parametrize(
    ("value", "begun"),
    [("settings: {losses: {weights: {count: 7.0}}}", False), ("training: {lr: 3.0e-3}", True)],
)
def test_a_loss_weight_leaves_the_beginning_and_a_learning_rate_of_all_does_not(copy, value, begun):
    changed = "adm" if begun else "topocellgen"
    plan = copy.plan(overlays=copy.overlay("own.yaml", f"experiments: {{{changed}: {{{value}}}}}"))
    rerun = {job.name for job in plan if job.rule in ("start_layout", "train_layout")}
    assert ("start_layout phantom/adm_counts/0" in rerun) == begun
    assert "train_layout phantom/topocellgen/0" in rerun
    assert ("train_layout phantom/adm_counts/0" in rerun) == begun


@pytest.mark.parametrize(
    ("changed", "value", "experiments", "trained"),
    [
        ("point_diffusion", "steps: 6", {"point_diffusion"}, set()),
        # the base of others, some of which have pairs that detectors are trained with
        ("adm", "eta: 0.5", MAPS, {"train_detector"}),
    ],
)
def test_how_an_experiment_is_sampled_does_not_rerun_its_training(copy, jobs, changed, value, experiments, trained):
    overlays = copy.overlay("own.yaml", f"experiments: {{{changed}: {{sampling: {{{value}}}}}}}")
    plan = copy.plan(overlays=overlays)
    assert names(plan) == downstream(
        jobs, lambda job: job.rule == "sample_layouts" and job.pairs("wildcards")["experiment"] in experiments
    )
    assert TRAINING & {job.rule for job in plan} == trained


UPSAMPLER = """
painters:
  tc:
    init: {init!r}
    condition: {{kind: markers}}
    network: {{heads: 4, fold: 1}}
    training: {{steps: 2}}
"""


def test_weights_that_a_painter_starts_from_count_by_content_alone(house, tmp_path):
    own = house.copy(tmp_path / "house")
    network = UNet(6, 6, 128, channels=16, blocks=1, multipliers=(1, 2), attention=(), heads=4)  # as in `ci`
    weights = {adm_name(name): tensor for name, tensor in network.state_dict().items()}
    first, moved, other = (own.folder / f"{name}.safetensors" for name in ("my first", "moved", "other"))
    save_file(weights, first)
    save_file({name: tensor + 1 for name, tensor in weights.items()}, other)
    target = "results/phantom/train_image/tc/seed0/model.safetensors"

    def started_from(file):
        return own.overlay("own.yaml", UPSAMPLER.format(init=str(file)))

    ended = own.snakemake(target, overlays=started_from(first.name))
    assert ended.status == 0, ended.text
    assert "training starts from the weights in my first.safetensors\n" in ended.text
    settings = read_weights(own.folder / target)[1]["section"]["settings"]
    assert settings["init"] == checksum(first)
    os.utime(first)
    assert own.plan(target, overlays=started_from(first.name)) == []
    first.rename(moved)
    assert own.plan(target, overlays=started_from(moved)) == []
    (again,) = own.plan(target, overlays=started_from(other.name))
    assert again.rule == "train_image" and "Params have changed" in again.entries["reason"]
    assert all(checksum(file) in again.entries["reason"] for file in (moved, other))
    ended = own.snakemake("--dry-run", target, overlays=started_from(first.name))
    assert ended.status == 1
    assert f"painters.tc.init = '{first.name}' in {own.folder}/own.yaml: No such file or directory; name " in ended.text
    assert "Traceback" not in ended.text


def test_resources_and_cores_rerun_nothing(copy):
    text = "resources: {train_layout: {threads: 2, mem_mb: 4000, runtime: 5}, light: {mem_mb: 1000, runtime: 7}}"
    assert copy.plan(overlays=copy.overlay("own.yaml", text), cores=1) == []
