# Layout → H&E images.


def painting_gpus(rule, painter):
    """GPUs of a job that paints: a painter that is not trained needs none."""
    return need(rule, "gpu") if outputs.is_trained_painter(painter) else 0


rule train_image:
    """Train the painter {wildcards.painter}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        model=RESULTS + "/{dataset}/train_image/{painter}/seed{seed}/model.safetensors",
        losses=RESULTS + "/{dataset}/train_image/{painter}/seed{seed}/losses.csv",
    log:
        RESULTS + "/{dataset}/logs/train_image/{painter}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/train_image/{painter}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_image", "threads")
    resources:
        mem_mb=memory("train_image"),
        runtime=minutes("train_image"),
        gpu=need("train_image", "gpu"),
        gres="",
        nodes=1,
        slurm_extra=warning("train_image"),
    params:
        **stage_code("train_image"),
        method=lambda w: method_code(
            "train_image", "painters", config["painters"][w.painter]["method"]
        ),
        config=lambda w: canonical(sections.painter_section(config, w.painter)),
        # Snakemake does not compare params with `output` among their arguments: the section has the file's SHA-256
        init=lambda w, output: sections.painter_init(config, w.painter),
    shell:
        STAGE + "train_image"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --init {params.init:q}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule paint_images:
    """H&E images for the layouts of {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        unpack(lambda w: outputs.painting(w.dataset, w.experiment, w.seed)),
        layouts=RESULTS + "/{dataset}/sample_layouts/{experiment}/train/seed{seed}/layouts.h5",
    output:
        painted=RESULTS + "/{dataset}/paint_images/{experiment}/{decoder}/seed{seed}/images.h5",
    log:
        RESULTS + "/{dataset}/logs/paint_images/{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/paint_images/{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("paint_images", "threads")
    resources:
        mem_mb=memory("paint_images"),
        runtime=minutes("paint_images"),
        gpu=lambda w: painting_gpus("paint_images", experiments.painter(w.experiment)),
        gres="",
    params:
        **stage_code("paint_images"),
        method=lambda w: method_code(
            "paint_images",
            "painters",
            config["painters"][experiments.painter(w.experiment)]["method"],
        ),
        config=lambda w: canonical(
            sections.painting_section(config, experiments.painter(w.experiment))
        ),
    shell:
        STAGE + "paint_images"
        " --layouts {input.layouts:q}"
        " --decoder {wildcards.decoder}"
        " --model {input.model:q}"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --painted {output.painted:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"
