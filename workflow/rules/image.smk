# Layout → H&E images.


rule train_image:
    """Train the layout → H&E model {wildcards.image_model}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        model=RESULTS + "/{dataset}/train_image/{image_model}/seed{seed}/model.safetensors",
        losses=RESULTS + "/{dataset}/train_image/{image_model}/seed{seed}/losses.csv",
    log:
        RESULTS + "/{dataset}/logs/train_image/{image_model}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/train_image/{image_model}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_image", "threads")
    resources:
        mem_mb=memory("train_image"),
        runtime=minutes("train_image"),
        gpu=need("train_image", "gpu"),
    params:
        **stage_code("train_image"),
        config=lambda w: canonical(settings.image_model(config, w.image_model)),
    shell:
        STAGE + "train_image"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu}"
        " 2>&1 | tee {log:q}"


def image_weights(wildcards):
    """The image model that paints an experiment's layouts."""
    name = settings.shared_image_model(config, wildcards.experiment)
    return (
        RESULTS + f"/{wildcards.dataset}/train_image/{name}/seed{wildcards.seed}/model.safetensors"
    )


def image_sampling(wildcards):
    """How that model is sampled."""
    name = settings.shared_image_model(config, wildcards.experiment)
    return canonical(config["image_models"][name]["sampling"])


rule paint_images:
    """H&E images for the layouts of {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        layouts=RESULTS + "/{dataset}/sample_layouts/{experiment}/train/seed{seed}/layouts.h5",
        model=image_weights,
    output:
        images=RESULTS + "/{dataset}/paint_images/{experiment}/{decoder}/seed{seed}/images.h5",
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
        gpu=need("paint_images", "gpu"),
    params:
        **stage_code("paint_images"),
        config=image_sampling,
    shell:
        STAGE + "paint_images"
        " --layouts {input.layouts:q}"
        " --decoder {wildcards.decoder}"
        " --model {input.model:q}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --images {output.images:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
