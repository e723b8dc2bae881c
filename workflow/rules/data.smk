# Datasets: files, cells and images, test patches.


def dataset_files(wildcards):
    """The files of a dataset that lies in a folder of the user's, so that editing one is seen."""
    section = config["datasets"][wildcards.dataset]
    folder = section.get("path")
    if not folder:
        return []
    return sorted(str(file) for file in Path(folder).rglob("*") if file.is_file())


rule fetch_dataset:
    """Find or download {wildcards.dataset} and list its files with checksums."""
    input:
        dataset_files,
    output:
        manifest=RESULTS + "/{dataset}/fetch_dataset/manifest.json",
    log:
        RESULTS + "/{dataset}/logs/fetch_dataset.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/fetch_dataset.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("fetch_dataset", "threads")
    resources:
        mem_mb=memory("fetch_dataset"),
        runtime=minutes("fetch_dataset"),
        gpu=need("fetch_dataset", "gpu"),
    params:
        **stage_code("fetch_dataset"),
        method=lambda w: method_code(
            "fetch_dataset", "datasets", config["datasets"][w.dataset]["reader"]
        ),
        config=dataset_config,
    shell:
        STAGE + "fetch_dataset"
        " --config {params.config:q}"
        " --manifest {output.manifest:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule read_cells:
    """Images and dots of {wildcards.dataset} in one LayoutSet and one ImageSet."""
    input:
        manifest=rules.fetch_dataset.output.manifest,
    output:
        cells=RESULTS + "/{dataset}/read_cells/cells.h5",
        images=RESULTS + "/{dataset}/read_cells/images.h5",
    log:
        RESULTS + "/{dataset}/logs/read_cells.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/read_cells.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("read_cells", "threads")
    resources:
        mem_mb=memory("read_cells"),
        runtime=minutes("read_cells"),
        gpu=need("read_cells", "gpu"),
    params:
        **stage_code("read_cells"),
        method=lambda w: method_code(
            "read_cells", "datasets", config["datasets"][w.dataset]["reader"]
        ),
        config=dataset_config,
    shell:
        STAGE + "read_cells"
        " --manifest {input.manifest:q}"
        " --config {params.config:q}"
        " --cells {output.cells:q}"
        " --images {output.images:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule cut_patches:
    """Windows {wildcards.patches} of {wildcards.dataset} that layouts are compared with."""
    input:
        cells=rules.read_cells.output.cells,
    output:
        patches=RESULTS + "/{dataset}/cut_patches/{patches}.h5",
    log:
        RESULTS + "/{dataset}/logs/cut_patches/{patches}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/cut_patches/{patches}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("cut_patches", "threads")
    resources:
        mem_mb=memory("cut_patches"),
        runtime=minutes("cut_patches"),
        gpu=need("cut_patches", "gpu"),
    params:
        **stage_code("cut_patches"),
        config=lambda w: canonical(config["patches"][w.patches]),
    shell:
        STAGE + "cut_patches"
        " --cells {input.cells:q}"
        " --config {params.config:q}"
        " --patches {output.patches:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
