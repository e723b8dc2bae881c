# Detectors, trained on real images alone (experiment `real_only`) or with generated pairs.


rule train_detector:
    """Train {wildcards.detector} with {wildcards.mix} % pairs of {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        unpack(detector_pairs),
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        model="<results>/{dataset}/train_detector/{detector}/{experiment}/{decoder}/mix{mix}/seed{seed}/model.safetensors",
        losses="<results>/{dataset}/train_detector/{detector}/{experiment}/{decoder}/mix{mix}/seed{seed}/losses.csv",
    log:
        "<results>/{dataset}/logs/train_detector/{detector}-{experiment}-{decoder}-mix{mix}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/train_detector/{detector}-{experiment}-{decoder}-mix{mix}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_detector", "threads")
    resources:
        mem_mb=memory("train_detector"),
        runtime=minutes("train_detector"),
        gpu=need("train_detector", "gpu"),
        gres="",
        nodes=1,
        slurm_extra=warning("train_detector"),
    params:
        **stage_code("train_detector"),
        method=detector_code("train_detector"),
        config=lambda w: canonical(sections.detector_section(config, w.detector, int(w.mix))),
    shell:
        "python -m cellscaper.stages.train_detector"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --layouts {input.layouts:q}"
        " --painted {input.painted:q}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule select_detector:
    """The fraction of synthetic crops that is best on the validation images."""
    input:
        models=lambda w: outputs.mixed_detectors(
            w.dataset, w.detector, w.experiment, w.decoder, w.seed
        ),
    output:
        model="<results>/{dataset}/select_detector/{detector}/{experiment}/{decoder}/seed{seed}/model.safetensors",
    log:
        "<results>/{dataset}/logs/select_detector/{detector}-{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/select_detector/{detector}-{experiment}-{decoder}-seed{seed}.tsv"
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
        "python -m cellscaper.stages.select_detector"
        " --models {input.models:q}"
        " --model {output.model:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule detect_cells:
    """Cells that the detector finds in the test images."""
    input:
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
        model=lambda w: outputs.detector_weights(
            w.dataset, w.detector, w.experiment, w.decoder, w.seed
        ),
    output:
        detections="<results>/{dataset}/detect_cells/{detector}/{experiment}/{decoder}/seed{seed}/cells.h5",
    log:
        "<results>/{dataset}/logs/detect_cells/{detector}-{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/detect_cells/{detector}-{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("detect_cells", "threads")
    resources:
        mem_mb=memory("detect_cells"),
        runtime=minutes("detect_cells"),
        gpu=need("detect_cells", "gpu"),
        gres="",
    params:
        **stage_code("detect_cells"),
        method=detector_code("detect_cells"),
    shell:
        "python -m cellscaper.stages.detect_cells"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --model {input.model:q}"
        " --detections {output.detections:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule score_detections:
    """Precision, recall and F1 of detected cells over all test images."""
    input:
        cells=rules.read_cells.output.cells,
        detections=rules.detect_cells.output.detections,
    output:
        scores="<results>/{dataset}/score_detections/{detector}/{experiment}/{decoder}/seed{seed}/scores.csv",
        counts="<results>/{dataset}/score_detections/{detector}/{experiment}/{decoder}/seed{seed}/counts.csv",
    log:
        "<results>/{dataset}/logs/score_detections/{detector}-{experiment}-{decoder}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/score_detections/{detector}-{experiment}-{decoder}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("score_detections", "threads")
    resources:
        mem_mb=memory("score_detections"),
        runtime=minutes("score_detections"),
        gpu=need("score_detections", "gpu"),
    params:
        **stage_code("score_detections"),
        pairs=lambda w: pairs_name(None if w.experiment == "real_only" else w.experiment, w.decoder),
        config=canonical({"radius": config["metrics"]["detection"]["radius"]}),
    shell:
        "python -m cellscaper.stages.score_detections"
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
