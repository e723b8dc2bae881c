# Helpers of all rules: the checked configuration, sections as canonical JSON, code fingerprints, resources.

import functools
import json
import os
import signal
import sys
import threading
from types import SimpleNamespace
from pathlib import Path

import yaml

from cellscaper.plan import sections as settings
from cellscaper.errors import CellscaperError
from cellscaper.disk.files import checksum
from cellscaper.plan.provenance import SRC, canonical, code, digest
from cellscaper.plan.validation import validate

# Snakemake puts the keys of overlays first; experiments of equal settings share the name that config.yaml has first.
with open(Path(workflow.basedir, "config.yaml"), encoding="utf-8") as file:
    ordered = settings.overlay(yaml.safe_load(file), config)
config.clear()
config.update(ordered)

try:
    validate(
        config,
        Path(workflow.basedir, "workflow/schemas/config.schema.yaml"),
        [Path(workflow.basedir, "config.yaml"), *workflow.overwrite_configfiles],
    )
except CellscaperError as error:
    raise WorkflowError(str(error)) from None

# `python` in a rule is the interpreter that runs Snakemake; a conda environment, if asked for, goes before it.
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
os.environ["PYTHONPATH"] = str(SRC)  # the code that is fingerprinted is the code that runs

if (
    threading.current_thread() is threading.main_thread()
):  # else SIGUSR1 ends Snakemake, and with it the training
    signal.signal(signal.SIGUSR1, lambda *_: None)

# Who stops a job signals all its processes. Trainings save their state then: their shell and tee must not end before.
shell.prefix(
    "set -euo pipefail; trap : TERM USR1; " "tee() ( trap '' INT TERM USR1; exec tee \"$@\" ); "
)

RESULTS = config["results"]
FIRST_SEED = f"seed{config['seeds'][0]}"  # the one that pictures show
STAGE = "python -m cellscaper.stages."


wildcard_constraints:
    dataset="[a-z0-9_]+",
    patches="[a-z0-9_]+",
    density="[a-z0-9_]+",
    stride="[0-9]+",
    experiment="[a-z0-9_]+",
    targets="test|train",
    decoder="components|released|requested|points",
    features="[a-z0-9_]+",
    image_model="[a-z0-9_]+",
    detector="[a-z0-9_]+",
    table="[a-z0-9_]+",
    training="train_layout|train_features|train_image|train_detector",
    mix="[0-9]+",
    seed="[0-9]+",


def need(rule, resource):
    """cores, MB, minutes or GPUs of a rule, from config `resources`."""
    return config["resources"].get(rule, config["resources"]["light"])[resource]


def memory(rule):
    """MB of a rule, growing with each attempt."""
    return lambda wildcards, attempt: need(rule, "mem_mb") * attempt


def minutes(rule):
    """Its run time, growing as well."""
    return lambda wildcards, attempt: need(rule, "runtime") * attempt


def stage_code(stage):
    """Fingerprints of a stage and of all that it imports: one param each, so a dry run names what changed."""
    return code(f"cellscaper.stages.{stage}")


def method_code(stage, kind, name):
    """Fingerprints of a chosen method (density, generator, …) beyond those of its stage."""
    return code(f"cellscaper.{kind}.{name}", apart=(f"cellscaper.stages.{stage}",))


def dataset_config(wildcards):
    return canonical(config["datasets"][wildcards.dataset])


@functools.cache
def table_rows(table):
    """The rows of a table that are run (settings.rows), found once: they compare every experiment with every other."""
    return settings.rows(config, table)


@functools.cache
def shared_training(name):
    """The experiment whose weights serve this one."""
    return settings.shared_training(config, name)


@functools.cache
def experiment_generator(name):
    return settings.experiment(config, name)["generator"]


def patches_file(dataset, experiment):
    """The test windows an experiment is matched to."""
    return f"{RESULTS}/{dataset}/cut_patches/{settings.named(config, experiment)['patches']}.h5"
