# Feature networks, and scores of layouts against real ones.


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


rule train_features:
    """Train the feature network {wildcards.network} of spatial-FID, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
    output:
        model=RESULTS + "/{dataset}/train_features/{network}/seed{seed}/model.safetensors",
        losses=RESULTS + "/{dataset}/train_features/{network}/seed{seed}/losses.csv",
    log:
        RESULTS + "/{dataset}/logs/train_features/{network}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/train_features/{network}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_features", "threads")
    resources:
        mem_mb=memory("train_features"),
        runtime=minutes("train_features"),
        gpu=need("train_features", "gpu"),
        gres="",
        nodes=1,
        slurm_extra=warning("train_features"),
    params:
        **stage_code("train_features"),
        method=lambda w: method_code(
            "train_features", "features", config["features"][w.network]["method"]
        ),
        config=lambda w: canonical(sections.features_section(config, w.network)),
    shell:
        STAGE + "train_features"
        " --cells {input.cells:q}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule score_layouts:
    """The metrics of {wildcards.experiment}, read with {wildcards.decoder}, that tables show, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        windows=lambda w: outputs.windows_of(w.dataset, w.experiment),
        targets=lambda w: outputs.targets_of(w.dataset, w.experiment),
        reference=lambda w: outputs.reference(w.dataset, w.experiment),
        features=lambda w: outputs.networks(w.dataset, w.experiment, w.decoder).values(),
        layouts=RESULTS + "/{dataset}/sample_layouts/{experiment}/test/seed{seed}/layouts.h5",
    output:
        scores=RESULTS + "/{dataset}/score_layouts/{experiment}/{decoder}/seed{seed}/scores.csv",
    log:
        RESULTS + "/{dataset}/logs/score_layouts/{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/score_layouts/{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("score_layouts", "threads")
    resources:
        mem_mb=memory("score_layouts"),
        runtime=minutes("score_layouts"),
        gpu=need("score_layouts", "gpu"),
        gres="",
    params:
        **stage_code("score_layouts"),
        method=metric_code,
        networks=lambda w: list(outputs.networks(w.dataset, w.experiment, w.decoder)),
        config=lambda w: canonical(
            sections.scoring_section(
                experiments, w.experiment, w.decoder, tables.metrics(w.experiment, w.decoder)
            )
        ),
    shell:
        STAGE + "score_layouts"
        " --cells {input.cells:q}"
        " --windows {input.windows:q}"
        " --targets {input.targets:q}"
        " --reference {input.reference:q}"
        " --features {input.features:q}"
        " --networks {params.networks:q}"
        " --layouts {input.layouts:q}"
        " --dataset {wildcards.dataset}"
        " --experiment {wildcards.experiment}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --scores {output.scores:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule score_images:
    """Nuclei under the dots, stain and FID of images painted for {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        unpack(scored_pairs),
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
        # one detector for all rows and seeds, as with spatial-FID
        model=lambda w: outputs.image_judge(w.dataset),
    output:
        scores=RESULTS + "/{dataset}/score_images/{experiment}/{decoder}/seed{seed}/scores.csv",
    log:
        RESULTS + "/{dataset}/logs/score_images/{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/score_images/{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("score_images", "threads")
    resources:
        mem_mb=memory("score_images"),
        runtime=minutes("score_images"),
        gpu=need("score_images", "gpu"),
        gres="",
    params:
        **stage_code("score_images"),
        config=lambda w: canonical(
            sections.image_scoring_section(experiments, w.experiment, is_audited(w))
        ),
    shell:
        STAGE + "score_images"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --model {input.model:q}"
        " --layouts {input.layouts:q}"
        " --painted {input.painted:q}"
        " --dataset {wildcards.dataset}"
        " --experiment {wildcards.experiment}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --scores {output.scores:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"
