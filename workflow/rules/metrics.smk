# Feature networks, and scores of layouts against the real windows they were matched to.


def feature_weights(wildcards):
    """The networks that score an experiment: one training each, with the first seed, for all rows and seeds."""
    names = settings.shared_features(config, wildcards.experiment)
    return [
        f"{RESULTS}/{wildcards.dataset}/train_features/{name}/{FIRST_SEED}/model.safetensors"
        for name in names
    ]


def feature_code(wildcards):
    """Fingerprints of the networks that score an experiment."""
    sections = [
        config["features"][name] for name in settings.shared_features(config, wildcards.experiment)
    ]
    return [method_code("score_layouts", "features", section["method"]) for section in sections]


rule train_features:
    """Train the feature network {wildcards.features} of spatial-FID, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
    output:
        model=RESULTS + "/{dataset}/train_features/{features}/seed{seed}/model.safetensors",
        losses=RESULTS + "/{dataset}/train_features/{features}/seed{seed}/losses.csv",
    log:
        RESULTS + "/{dataset}/logs/train_features/{features}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/train_features/{features}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_features", "threads")
    resources:
        mem_mb=memory("train_features"),
        runtime=minutes("train_features"),
        gpu=need("train_features", "gpu"),
    params:
        **stage_code("train_features"),
        method=lambda w: method_code(
            "train_features", "features", config["features"][w.features]["method"]
        ),
        config=lambda w: canonical(config["features"][w.features]),
    shell:
        STAGE + "train_features"
        " --cells {input.cells:q}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu}"
        " 2>&1 | tee {log:q}"


rule score_layouts:
    """All metrics of {wildcards.experiment}, read with {wildcards.decoder}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        patches=lambda w: patches_file(w.dataset, w.experiment),
        features=feature_weights,
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
    params:
        **stage_code("score_layouts"),
        method=feature_code,
        config=lambda w: canonical(
            {
                **{
                    name: config["metrics"][name]
                    for name in ("spatial_fid", "topofd", "mmd", "copies")
                },
                **settings.reading_section(config, w.experiment),
            }
        ),
    shell:
        STAGE + "score_layouts"
        " --cells {input.cells:q}"
        " --patches {input.patches:q}"
        " --features '{input.features}'"
        " --layouts {input.layouts:q}"
        " --dataset {wildcards.dataset}"
        " --experiment {wildcards.experiment}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --scores {output.scores:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


def scored_images(wildcards):
    """The painted images and their layouts; none for rows of real images."""
    if experiment_generator(wildcards.experiment) == "real_halves":
        return {}
    folder, seed = f"{RESULTS}/{wildcards.dataset}", f"seed{wildcards.seed}"
    return {
        "layouts": f"{folder}/sample_layouts/{wildcards.experiment}/train/{seed}/layouts.h5",
        "painted": f"{folder}/paint_images/{wildcards.experiment}/{wildcards.decoder}/{seed}/images.h5",
    }


rule score_images:
    """Nuclei under the dots, stain and FID of images painted for {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        unpack(scored_images),
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
        # one detector for all rows and seeds, as with spatial-FID
        model=RESULTS
        + f"/{{dataset}}/train_detector/{config['metrics']['images']['detector']}/real_only/points/mix0"
        + f"/{FIRST_SEED}/model.safetensors",
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
    params:
        **stage_code("score_images"),
        config=lambda w: canonical(settings.image_scoring_section(config, w.experiment)),
        flags=lambda w: " ".join(f"--{name} {file}" for name, file in scored_images(w).items()),
    shell:
        STAGE + "score_images"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --model {input.model:q} {params.flags}"
        " --dataset {wildcards.dataset}"
        " --experiment {wildcards.experiment}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --scores {output.scores:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
