# Scores of layouts against the real windows they were matched to.


rule score_layouts:
    """Count errors and topology of {wildcards.experiment}, read with {wildcards.decoder}, seed {wildcards.seed}."""
    input:
        patches=lambda w: patches_file(w.dataset, w.experiment),
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
        runtime=need("score_layouts", "runtime"),
        gpu=need("score_layouts", "gpu"),
    params:
        **stage_code("score_layouts"),
        config=lambda w: canonical(
            {**config["metrics"]["topofd"], **settings.reading_section(config, w.experiment)}
        ),
    shell:
        STAGE + "score_layouts"
        " --patches {input.patches:q}"
        " --layouts {input.layouts:q}"
        " --dataset {wildcards.dataset}"
        " --experiment {wildcards.experiment}"
        " --decoder {wildcards.decoder}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --scores {output.scores:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
