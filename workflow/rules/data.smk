# Datasets: files, cells and images, test patches.


HASHED = 200_000_000  # bytes: a folder of more is known by sizes and times, which need no reading


@functools.cache
def folder_state(folder):
    """A digest of the files below a folder: by content, so that a copy is no change, or by size and time."""
    files = [file for file in sorted(Path(folder).rglob("*")) if file.is_file()]
    names = [
        ascii(str(file.relative_to(folder))) for file in files
    ]  # also those that are not UTF-8
    facts = [file.stat() for file in files]
    if sum(fact.st_size for fact in facts) > HASHED:
        return digest([names, [[fact.st_size, fact.st_mtime_ns] for fact in facts]])
    return digest([names, [content_sum(file) for file in files]])


def content_sum(file):
    """SHA-256 of a file; none of one that may not be read, of which the stage tells."""
    try:
        return checksum(file)
    except OSError:
        return None


def dataset_state(wildcards):
    """The state of a dataset in a folder of the user's: an edit is seen, and no dry run lists every file."""
    folder = config["datasets"][wildcards.dataset].get("path")
    return folder_state(folder) if folder else "no folder"


rule fetch_dataset:
    """Find or download {wildcards.dataset} and list its files with checksums."""
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
        files=dataset_state,
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
