# Layout generators: training and sampling. Trainings that begin alike go on from one beginning.

from snakemake.logging import logger

if workflow.is_main_process:
    for line in [*outputs.spared_steps(os.path.exists), *outputs.told_weights()]:
        logger.info(line)


rule start_layout:
    """The first steps that several trainings share: {wildcards.beginning}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        density=lambda w: outputs.density(w.dataset, begun(w).trainings[0]),
        init=lambda w: outputs.init_model(w.dataset, begun(w).trainings[0], w.seed),
    output:
        model="<results>/{dataset}/start_layout/{beginning}/seed{seed}/beginning.safetensors",
        losses="<results>/{dataset}/start_layout/{beginning}/seed{seed}/losses.csv",
    log:
        "<results>/{dataset}/logs/start_layout/{beginning}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/start_layout/{beginning}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("start_layout", "threads")
    resources:
        mem_mb=memory("start_layout"),
        runtime=minutes("start_layout"),
        gpu=need("start_layout", "gpu"),
        gres="",
        nodes=1,
        slurm_extra=warning("start_layout"),
    params:
        **stage_code("start_layout"),
        method=lambda w: method_code("start_layout", "generators", begun(w).recipe["method"]),
        config=lambda w: canonical(begun(w).recipe),
        until=lambda w: begun(w).steps,
        # of a file the section has the SHA-256 (image.smk)
        init=lambda w, output: outputs.init_file(begun(w).trainings[0]),
    shell:
        "python -m cellscaper.stages.start_layout"
        " --cells {input.cells:q}"
        " --density {input.density:q}"
        " --init {input.init:q} {params.init:q}"
        " --config {params.config:q}"
        " --until {params.until}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule train_layout:
    """Train the layout model of {wildcards.experiment}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        density=lambda w: outputs.density(w.dataset, w.experiment),
        init=lambda w: outputs.init_model(w.dataset, w.experiment, w.seed),
        beginning=lambda w: outputs.beginning(w.dataset, w.experiment, w.seed),
    output:
        model="<results>/{dataset}/train_layout/{experiment}/seed{seed}/model.safetensors",
        losses="<results>/{dataset}/train_layout/{experiment}/seed{seed}/losses.csv",
    log:
        "<results>/{dataset}/logs/train_layout/{experiment}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/train_layout/{experiment}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("train_layout", "threads")
    resources:
        mem_mb=memory("train_layout"),
        runtime=minutes("train_layout"),
        gpu=lambda w: gpus("train_layout", w.experiment),
        gres="",
        nodes=1,
        slurm_extra=warning("train_layout"),
    params:
        **stage_code("train_layout"),
        method=generator_code("train_layout"),
        config=lambda w: canonical(experiments.recipe(w.experiment)),
        init=lambda w, output: outputs.init_file(w.experiment),
    shell:
        "python -m cellscaper.stages.train_layout"
        " --cells {input.cells:q}"
        " --density {input.density:q}"
        " --beginning {input.beginning:q}"
        " --init {input.init:q} {params.init:q}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --model {output.model:q}"
        " --losses {output.losses:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"


rule sample_layouts:
    """Layouts of {wildcards.experiment}, scored (test) or painted (train): {wildcards.purpose}, seed {wildcards.seed}."""
    input:
        cells=rules.read_cells.output.cells,
        targets=lambda w: outputs.targets_of(w.dataset, w.experiment),
        model=lambda w: outputs.layout_weights(w.dataset, w.experiment, w.seed),
    output:
        layouts="<results>/{dataset}/sample_layouts/{experiment}/{purpose}/seed{seed}/layouts.h5",
    log:
        "<results>/{dataset}/logs/sample_layouts/{experiment}-{purpose}-seed{seed}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/sample_layouts/{experiment}-{purpose}-seed{seed}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: lambda w: need(sampling(w.experiment), "threads")
    resources:
        mem_mb=lambda w, attempt: memory(sampling(w.experiment))(w, attempt),
        runtime=lambda w, attempt: minutes(sampling(w.experiment))(w, attempt),
        gpu=lambda w: gpus("sample_layouts", w.experiment),
        gres="",
    params:
        **stage_code("sample_layouts"),
        method=generator_code("sample_layouts"),
        config=lambda w: canonical(
            sections.sampling_section(experiments, w.dataset, w.experiment, w.purpose)
        ),
        weights=lambda w, output: outputs.given_weights(w.experiment),
    shell:
        "python -m cellscaper.stages.sample_layouts"
        " --cells {input.cells:q}"
        " --targets {input.targets:q}"
        " --model {input.model:q} {params.weights:q}"
        " --purpose {wildcards.purpose}"
        " --config {params.config:q}"
        " --seed {wildcards.seed}"
        " --layouts {output.layouts:q}"
        " --threads {threads} --gpus {resources.gpu} --gres {resources.gres:q}"
        " 2>&1 | tee {log:q}"
