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


rule train_detector:
    """Train {wildcards.detector} on real images and pairs of {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        unpack(detector_pairs),
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        model=RESULTS
        + "/{dataset}/train_detector/{detector}/{experiment}/{decoder}/seed{seed}/model.safetensors",
        losses=RESULTS
        + "/{dataset}/train_detector/{detector}/{experiment}/{decoder}/seed{seed}/losses.csv",
    log:
        RESULTS + "/{dataset}/logs/train_detector/{detector}-{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        RESULTS
        + "/{dataset}/benchmarks/train_detector/{detector}-{experiment}-{decoder}-seed{seed}.tsv"
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
        config=lambda w: canonical(config["detectors"][w.detector]),
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


rule detect_cells:
    """Cells that the detector finds in the test images."""
    input:
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
        model=rules.train_detector.output.model,
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
