# Detectors, trained on real images alone (experiment `real_only`) or with generated pairs.


def detector_pairs(wildcards):
    """The generated layouts and images a detector is trained with, if any."""
    if wildcards.experiment == "real_only":
        return {}
    folder = RESULTS + f"/{wildcards.dataset}"
    rest = f"{wildcards.experiment}/{{}}/seed{wildcards.seed}"
    return {
        "layouts": f"{folder}/sample_layouts/{rest.format('train')}/layouts.h5",
        "painted": f"{folder}/paint_images/{rest.format(wildcards.decoder)}/images.h5",
    }


def pair_flags(wildcards):
    """Their flags on the command line."""
    pairs = detector_pairs(wildcards)
    return f"--layouts {pairs['layouts']} --painted {pairs['painted']}" if pairs else ""


def detector_mixes(wildcards):
    """Percentages of synthetic crops that are tried."""
    name = None if wildcards.experiment == "real_only" else wildcards.experiment
    return settings.mixes(config, wildcards.detector, name)


def mixed_models(wildcards):
    """The weights of each percentage."""
    folder = (
        RESULTS + f"/{wildcards.dataset}/train_detector/{wildcards.detector}"
        f"/{wildcards.experiment}/{wildcards.decoder}"
    )
    return [
        f"{folder}/mix{mix}/seed{wildcards.seed}/model.safetensors"
        for mix in detector_mixes(wildcards)
    ]


def detector_weights(wildcards):
    """The weights a detector detects with: its only ones, or those that were best on the validation images."""
    models = mixed_models(wildcards)
    if len(models) == 1:
        return models[0]
    return (
        RESULTS + f"/{wildcards.dataset}/select_detector/{wildcards.detector}"
        f"/{wildcards.experiment}/{wildcards.decoder}/seed{wildcards.seed}/model.safetensors"
    )


rule train_detector:
    """Train {wildcards.detector} with {wildcards.mix} % pairs of {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        unpack(detector_pairs),
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        model=RESULTS
        + "/{dataset}/train_detector/{detector}/{experiment}/{decoder}/mix{mix}/seed{seed}/model.safetensors",
        losses=RESULTS
        + "/{dataset}/train_detector/{detector}/{experiment}/{decoder}/mix{mix}/seed{seed}/losses.csv",
    log:
        RESULTS
        + "/{dataset}/logs/train_detector/{detector}-{experiment}-{decoder}-mix{mix}-seed{seed}.log",
    benchmark:
        RESULTS
        + "/{dataset}/benchmarks/train_detector/{detector}-{experiment}-{decoder}-mix{mix}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_detector", "threads")
    resources:
        mem_mb=memory("train_detector"),
        runtime=minutes("train_detector"),
        gpu=need("train_detector", "gpu"),
    params:
        **stage_code("train_detector"),
        method=lambda w: method_code(
            "train_detector", "detectors", config["detectors"][w.detector]["method"]
        ),
        config=lambda w: canonical(settings.detector_section(config, w.detector, int(w.mix))),
        pairs=pair_flags,
    shell:
        STAGE + "train_detector"
        " --cells {input.cells:q}"
        " --images {input.images:q} {params.pairs}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu}"
        " 2>&1 | tee {log:q}"


rule select_detector:
    """The part of synthetic crops that is best on the validation images."""
    input:
        models=mixed_models,
    output:
        model=RESULTS
        + "/{dataset}/select_detector/{detector}/{experiment}/{decoder}/seed{seed}/model.safetensors",
    log:
        RESULTS + "/{dataset}/logs/select_detector/{detector}-{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        RESULTS
        + "/{dataset}/benchmarks/select_detector/{detector}-{experiment}-{decoder}-seed{seed}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("select_detector", "threads")
    resources:
        mem_mb=memory("select_detector"),
        runtime=need("select_detector", "runtime"),
        gpu=need("select_detector", "gpu"),
    params:
        **stage_code("select_detector"),
    shell:
        STAGE + "select_detector"
        " --models '{input.models}'"
        " --model {output.model:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule detect_cells:
    """Cells that the detector finds in the test images."""
    input:
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
        model=detector_weights,
    output:
        detections=RESULTS
        + "/{dataset}/detect_cells/{detector}/{experiment}/{decoder}/seed{seed}/cells.h5",
    log:
        RESULTS + "/{dataset}/logs/detect_cells/{detector}-{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        RESULTS
        + "/{dataset}/benchmarks/detect_cells/{detector}-{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("detect_cells", "threads")
    resources:
        mem_mb=memory("detect_cells"),
        runtime=minutes("detect_cells"),
        gpu=need("detect_cells", "gpu"),
    params:
        **stage_code("detect_cells"),
        method=lambda w: method_code(
            "detect_cells", "detectors", config["detectors"][w.detector]["method"]
        ),
    shell:
        STAGE + "detect_cells"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --model {input.model:q}"
        " --detections {output.detections:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule score_detections:
    """Precision, recall and F1 of detected cells over all test images."""
    input:
        cells=rules.read_cells.output.cells,
        detections=rules.detect_cells.output.detections,
    output:
        scores=RESULTS
        + "/{dataset}/score_detections/{detector}/{experiment}/{decoder}/seed{seed}/scores.csv",
        counts=RESULTS
        + "/{dataset}/score_detections/{detector}/{experiment}/{decoder}/seed{seed}/counts.csv",
    log:
        RESULTS
        + "/{dataset}/logs/score_detections/{detector}-{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        RESULTS
        + "/{dataset}/benchmarks/score_detections/{detector}-{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("score_detections", "threads")
    resources:
        mem_mb=memory("score_detections"),
        runtime=minutes("score_detections"),
        gpu=need("score_detections", "gpu"),
    params:
        **stage_code("score_detections"),
        pairs=lambda w: settings.pairs_name(
            None if w.experiment == "real_only" else w.experiment, w.decoder
        ),
        config=lambda w: canonical(config["metrics"]["detection"]),
    shell:
        STAGE + "score_detections"
        " --cells {input.cells:q}"
        " --detections {input.detections:q}"
        " --dataset {wildcards.dataset}"
        " --experiment {params.pairs}"
        " --detector {wildcards.detector}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --scores {output.scores:q}"
        " --counts {output.counts:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
