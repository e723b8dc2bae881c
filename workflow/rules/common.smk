# What all rules share: the checked configuration, the files of the run, fingerprints of the code, resources.

import functools
import json
import os
from pathlib import Path

from cellscaper.errors import CellscaperError
from cellscaper.plan import sections
from cellscaper.plan.configuration import given
from cellscaper.plan.figures import Figures
from cellscaper.plan.given_data import check_folders, with_given_data
from cellscaper.plan.outputs import Outputs
from cellscaper.plan.provenance import canonical, code
from cellscaper.plan.house import ROOT
from cellscaper.plan.tables import pairs_name

OWN = 3  # Snakemake's level of a workflow's own pathvars: lower ones are those of a workflow around it

try:
    # a command line is for the main workflow; in a module its own `config:` counts
    is_main = workflow.modifier.is_main_snakefile()
    files = workflow.overwrite_configfiles if is_main else ()
    whole = given(config, workflow.config_settings.config if is_main else {}, map(Path, files))
    whole, left_out = with_given_data(whole)
    if workflow.pathvars.level["results"] < OWN:
        whole["results"] = workflow.pathvars.get("results")
    outputs = Outputs(whole)
    if workflow.is_main_process:
        check_folders(whole, lambda name: os.path.exists(outputs.cells(name)))
    tables, experiments = outputs.tables, outputs.experiments
except CellscaperError as error:
    raise WorkflowError(str(error)) from None
config.clear()
config.update(whole)

figures = Figures(outputs)
PAINTING = "paint_set" if "paint_set" in config["resources"] else "paint_images"

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


pathvars:
    results=outputs.results,


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


# -- data.smk --


def reader_code(stage):
    """The fingerprint of the reader of a dataset."""
    return lambda w: method_code(stage, "datasets", config["datasets"][w.dataset]["reader"])


# -- detect.smk --


def detector_code(stage):
    """The fingerprint of a detector's method."""
    return lambda w: method_code(stage, "detectors", config["detectors"][w.detector]["method"])


def detector_pairs(w):
    """The generated layouts and images that a detector is trained with; empty without."""
    pairs = outputs.pairs(w.dataset, w.experiment, w.decoder, w.seed)
    return pairs or {"layouts": [], "painted": []}


# -- figures.smk --


def labels(sources):
    return [source.label for source in sources]


def files(sources):
    return [source.file for source in sources]


def decoders(sources):
    return [source.decoder for source in sources if source.decoder]


def picture_inputs(w):
    """The files behind the picture of a table, by flag; flags that its kind does not need are empty."""
    return {"windows": [], "cells": [], "images": [], **figures.picture_inputs(w.dataset, w.table)}


# -- image.smk --


def painting_gpus(rule, painter):
    """GPUs of a job that paints: a painter that is not trained needs none."""
    return need(rule, "gpu") if outputs.is_trained_painter(painter) else 0


# -- layout.smk --


def generator_code(stage):
    """The fingerprint of the generator of an experiment."""
    return lambda w: method_code(stage, "generators", experiments[w.experiment].generator)


def gpus(rule, experiment):
    """GPUs of a job of an experiment: none where its generator is no faster on one."""
    return need(rule, "gpu") if experiments[experiment].on_gpu else 0


def sampling(experiment):
    """The rule whose resources a sampling has; a generator that is not trained is light."""
    return "sample_layouts" if experiments[experiment].is_trained else "light"


def begun(w):
    """The shared beginning that a job of start_layout makes."""
    return experiments.beginnings[w.beginning]


# -- metrics.smk --


def metric_code(w):
    """Fingerprints of the metrics that score an experiment, and of the feature networks that they look with."""
    wanted = tables.metrics(w.experiment, w.decoder)
    metrics = method_code("score_layouts", "metrics", *(metric.name for metric in wanted))
    networks = [metric.network for metric in wanted if metric.network]
    return [metrics, method_code("score_layouts", "features", *networks)]


def is_audited(w):
    """Whether a table of the run shows how much of the images of an experiment is copied."""
    return (w.experiment, w.decoder) in tables.audited(w.dataset)


def scored_pairs(w):
    """The painted images of an experiment and their layouts; empty for rows of real images."""
    pairs = outputs.scored_pairs(w.dataset, w.experiment, w.decoder, w.seed)
    return pairs or {"layouts": [], "painted": []}


# -- sets.smk --


def set_experiment(w):
    """The experiment whose system makes a set."""
    return experiments[config["sets"][w.set]["experiment"]]


def set_painter(w):
    """The painter of a set."""
    return experiments.painter(set_experiment(w).name)


def generating(w):
    """The rule whose resources a part has; `generate_set` if the configuration names it, else that of a sampling."""
    named = "generate_set" in config["resources"]
    return "generate_set" if named else sampling(set_experiment(w).name)
