# Generated sets of any size (config `sets`): layouts and their images in parts, one job a part.


def set_experiment(w):
    """The experiment whose system makes a set."""
    return experiments[config["sets"][w.set]["experiment"]]


def set_painter(w):
    """The painter of a set."""
    return experiments.painter(set_experiment(w).name)


def generating(w):
    """The rule whose resources a part has: `generate_set` if the configuration names it, else that of a sampling."""
    named = "generate_set" in config["resources"]
    return "generate_set" if named else sampling(set_experiment(w).name)


PAINTING = "paint_set" if "paint_set" in config["resources"] else "paint_images"


rule generate_set:
    """Part {wildcards.part} of {wildcards.parts} of the generated set {wildcards.set}."""
    input:
        unpack(lambda w: outputs.set_inputs(w.set)),
        cells=rules.read_cells.output.cells,
    output:
        layouts=RESULTS + "/{dataset}/sets/{set}/part{part}-of-{parts}/layouts.h5",
    log:
        RESULTS + "/{dataset}/logs/generate_set/{set}-part{part}-of-{parts}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/generate_set/{set}-part{part}-of-{parts}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: lambda w: need(generating(w), "threads")
    resources:
        mem_mb=lambda w, attempt: memory(generating(w))(w, attempt),
        runtime=lambda w, attempt: minutes(generating(w))(w, attempt),
        gpu=lambda w: gpus(generating(w), set_experiment(w).name),
        gres="",
    params:
        **stage_code("generate_set"),
        method=lambda w: method_code("generate_set", "generators", set_experiment(w).generator),
        config=lambda w: canonical(sections.set_section(experiments, w.set)),
        seed=lambda w: config["sets"][w.set]["seed"],
    shell:
        STAGE + "generate_set"
        " --cells {input.cells:q}"
        " --targets {input.targets:q}"
        " --model {input.model:q}"
        " --part {wildcards.part} --parts {wildcards.parts}"
        " --config {params.config:q}"
        " --seed {params.seed}"
        " --layouts {output.layouts:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule paint_set:
    """H&E images for part {wildcards.part} of {wildcards.parts} of the generated set {wildcards.set}."""
    input:
        unpack(lambda w: outputs.set_painting(w.set)),
        layouts=rules.generate_set.output.layouts,
    output:
        painted=RESULTS + "/{dataset}/sets/{set}/part{part}-of-{parts}/images.h5",
    log:
        RESULTS + "/{dataset}/logs/paint_set/{set}-part{part}-of-{parts}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/paint_set/{set}-part{part}-of-{parts}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need(PAINTING, "threads")
    resources:
        mem_mb=memory(PAINTING),
        runtime=minutes(PAINTING),
        gpu=lambda w: painting_gpus(PAINTING, set_painter(w)),
        gres="",
    params:
        **stage_code("paint_set"),
        method=lambda w: method_code(
            "paint_set", "painters", config["painters"][set_painter(w)]["method"]
        ),
        config=lambda w: canonical(sections.set_painting_section(experiments, w.set)),
        seed=lambda w: config["sets"][w.set]["seed"],
        decoder=lambda w: config["sets"][w.set].get("decoder") or "points",
    shell:
        STAGE + "paint_set"
        " --layouts {input.layouts:q}"
        " --decoder {params.decoder}"
        " --model {input.model:q}"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --part {wildcards.part} --parts {wildcards.parts}"
        " --config {params.config:q}"
        " --seed {params.seed}"
        " --painted {output.painted:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"
