# What all rules share: the checked configuration, the files of the run, fingerprints of the code, resources.

import functools
import json
import os
from pathlib import Path

from cellscaper.errors import CellscaperError
from cellscaper.plan import sections
from cellscaper.plan.configuration import given
from cellscaper.plan.figures import Figures
from cellscaper.plan.given_data import with_given_data
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.provenance import canonical, code
from cellscaper.plan.schema import ROOT

try:
    # a command line is for the main workflow; in a module its own `config:` counts
    is_main = workflow.modifier.is_main_snakefile()
    files = workflow.overwrite_configfiles if is_main else ()
    whole = given(config, workflow.config_settings.config if is_main else {}, map(Path, files))
    whole, left_out = with_given_data(whole)
    outputs = Outputs(whole)
    tables, experiments = outputs.tables, outputs.experiments
except CellscaperError as error:
    raise WorkflowError(str(error)) from None
config.clear()
config.update(whole)

figures = Figures(outputs)
RESULTS = outputs.results

if workflow.is_main_process:
    for name, why in left_out.items():
        logger.info(f"{name} is left out: {why}")
    # Snakemake cuts a job's wish to the limit without a word
    most = dict(workflow.global_resources.unwrapped_items()).get("gpu")
    for name, block in config["resources"].items():
        if most is not None and block["gpu"] > most > 0:
            raise WorkflowError(
                f"resources.{name}.gpu is {block['gpu']}, and this run may use {most}; "
                f"add --resources gpu={block['gpu']} to the command"
            )


wildcard_constraints:
    dataset="[a-z0-9_]+",
    field="[a-z0-9_]+",
    density="[a-z0-9_]+",
    stride="[0-9]+",
    beginning="[a-z0-9_]+",
    experiment="[a-z0-9_]+",
    windows="[a-z0-9_]+(-targets|-reference)?",
    purpose="test|train",
    decoder="[a-z0-9_]+",
    network="[a-z0-9_]+",
    painter="[a-z0-9_]+",
    detector="[a-z0-9_]+",
    table="[a-z0-9_]+",
    training="train_layout|train_features|train_image|train_detector",
    mix="[0-9]+",
    set="[a-z0-9_]+",
    part="[0-9]+",
    parts="[0-9]+",
    seed="[0-9]+",


def need(rule, resource):
    """cores, MB, minutes or GPUs of a rule, from config `resources`; a profile may set others (set-resources)."""
    return config["resources"].get(rule, config["resources"]["light"])[resource]


def memory(rule):
    """MB of a rule, growing with the first attempts; a node's memory ends somewhere."""
    return lambda wildcards, attempt: need(rule, "mem_mb") * min(attempt, 3)


def minutes(rule):
    """Its run time, growing with each attempt."""
    return lambda wildcards, attempt: need(rule, "runtime") * attempt


def warning(rule):
    """A flag for SLURM: a signal to the training 5 min before its time is over (a quarter of a short time)."""
    return (
        lambda wildcards, attempt: f"--signal=USR1@{min(300, 15 * need(rule, 'runtime') * attempt)}"
    )


def stage_code(stage):
    """Fingerprints of a stage and of all that it imports: one param each, so a dry run names what changed."""
    return code(f"cellscaper.stages.{stage}")


@functools.cache
def method_code(stage, kind, *names):
    """Fingerprints of chosen methods (density, generator, …) beyond those of their stage."""
    modules = [f"cellscaper.{kind}.{name}" for name in names]
    return code(*modules, apart=(f"cellscaper.stages.{stage}",))
