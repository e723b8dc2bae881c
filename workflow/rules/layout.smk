# Layout generators: training and sampling.


def layout_density(wildcards):
    """The density maps a training needs, if any."""
    name = settings.named(config, wildcards.experiment)["density"]
    if name == "none":
        return []
    stride = settings.density_stride(config, wildcards.experiment)
    return RESULTS + f"/{wildcards.dataset}/fit_density/{name}/stride{stride}.h5"


def layout_weights(wildcards):
    """The weights an experiment samples with: those of the first experiment with the same training, or none."""
    if not settings.is_trained(config, wildcards.experiment):
        return []
    name = shared_training(wildcards.experiment)
    return (
        RESULTS + f"/{wildcards.dataset}/train_layout/{name}/seed{wildcards.seed}/model.safetensors"
    )


rule train_layout:
    """Train the layout model of {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        density=layout_density,
    output:
        model=RESULTS + "/{dataset}/train_layout/{experiment}/seed{seed}/model.safetensors",
        losses=RESULTS + "/{dataset}/train_layout/{experiment}/seed{seed}/losses.csv",
    log:
        RESULTS + "/{dataset}/logs/train_layout/{experiment}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/train_layout/{experiment}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_layout", "threads")
    resources:
        mem_mb=memory("train_layout"),
        runtime=minutes("train_layout"),
        gpu=need("train_layout", "gpu"),
    params:
        **stage_code("train_layout"),
        method=lambda w: method_code(
            "train_layout", "generators", experiment_generator(w.experiment)
        ),
        config=lambda w: canonical(settings.training_section(config, w.experiment)),
        density=lambda w, input: f"--density {input.density}" if input.density else "",
    shell:
        STAGE + "train_layout"
        " --cells {input.cells:q} {params.density}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu}"
        " 2>&1 | tee {log:q}"


rule sample_layouts:
    """Layouts of {wildcards.experiment} with the counts of {wildcards.targets} windows, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        patches=lambda w: patches_file(w.dataset, w.experiment),
        model=layout_weights,
    output:
        layouts=RESULTS + "/{dataset}/sample_layouts/{experiment}/{targets}/seed{seed}/layouts.h5",
    log:
        RESULTS + "/{dataset}/logs/sample_layouts/{experiment}-{targets}-seed{seed}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/sample_layouts/{experiment}-{targets}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("sample_layouts", "threads")
    resources:
        mem_mb=memory("sample_layouts"),
        runtime=minutes("sample_layouts"),
        gpu=need("sample_layouts", "gpu"),
    params:
        **stage_code("sample_layouts"),
        method=lambda w: method_code(
            "sample_layouts", "generators", experiment_generator(w.experiment)
        ),
        config=lambda w: canonical(settings.sampling_section(config, w.experiment)),
        model=lambda w, input: f"--model {input.model}" if input.model else "",
    shell:
        STAGE + "sample_layouts"
        " --cells {input.cells:q}"
        " --patches {input.patches:q} {params.model}"
        " --targets {wildcards.targets}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --layouts {output.layouts:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
