# Layout → H&E images.


rule train_image:
    """Train the painter {wildcards.painter}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        model="<results>/{dataset}/train_image/{painter}/seed{seed}/model.safetensors",
        losses="<results>/{dataset}/train_image/{painter}/seed{seed}/losses.csv",
    log:
        "<results>/{dataset}/logs/train_image/{painter}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/train_image/{painter}-seed{seed}.tsv"
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
        "python -m cellscaper.stages.train_image"
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
        layouts="<results>/{dataset}/sample_layouts/{experiment}/train/seed{seed}/layouts.h5",
    output:
        painted="<results>/{dataset}/paint_images/{experiment}/{decoder}/seed{seed}/images.h5",
    log:
        "<results>/{dataset}/logs/paint_images/{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/paint_images/{experiment}-{decoder}-seed{seed}.tsv"
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
        "python -m cellscaper.stages.paint_images"
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


rule select_pairs:
    """Pairs of {wildcards.experiment} in whose images a detector finds the layout's cells, seed {wildcards.seed}."""
    input:
        unpack(lambda w: outputs.all_pairs(w.dataset, w.experiment, w.decoder, w.seed)),
        # the detector that scores images, of real images alone and the first seed: one for all rows
        model=lambda w: outputs.image_judge(w.dataset),
    output:
        kept="<results>/{dataset}/select_pairs/{experiment}/{decoder}/seed{seed}/layouts.h5",
        images="<results>/{dataset}/select_pairs/{experiment}/{decoder}/seed{seed}/images.h5",
    log:
        "<results>/{dataset}/logs/select_pairs/{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/select_pairs/{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("select_pairs", "threads")
    resources:
        mem_mb=memory("select_pairs"),
        runtime=minutes("select_pairs"),
        gpu=need("select_pairs", "gpu"),
        gres="",
    params:
        **stage_code("select_pairs"),
        config=lambda w: canonical(
            sections.selecting_section(config, experiments.painter(w.experiment))
        ),
    shell:
        "python -m cellscaper.stages.select_pairs"
        " --layouts {input.layouts:q}"
        " --painted {input.painted:q}"
        " --model {input.model:q}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --kept {output.kept:q}"
        " --images {output.images:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"
