# Datasets: files, cells and images, real layouts of a field of view.

from cellscaper.plan.folders import folder_state


rule fetch_dataset:
    """Find or download {wildcards.dataset} and list its files with checksums."""
    output:
        manifest="<results>/{dataset}/fetch_dataset/manifest.json",
    log:
        "<results>/{dataset}/logs/fetch_dataset.log",
    benchmark:
        "<results>/{dataset}/benchmarks/fetch_dataset.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("fetch_dataset", "threads")
    resources:
        mem_mb=memory("fetch_dataset"),
        runtime=minutes("fetch_dataset"),
        gpu=need("fetch_dataset", "gpu"),
    params:
        **stage_code("fetch_dataset"),
        method=reader_code("fetch_dataset"),
        config=lambda w: canonical(sections.dataset_section(config, w.dataset)),
        # the state of a folder of the user's: an edit is seen, and no dry run lists every file
        files=lambda w: folder_state(config["datasets"][w.dataset].get("path")),
    shell:
        "python -m cellscaper.stages.fetch_dataset"
        " --dataset {wildcards.dataset:q}"
        " --config {params.config:q}"
        " --manifest {output.manifest:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule read_cells:
    """Images and dots of {wildcards.dataset} in one LayoutSet and one ImageSet."""
    input:
        manifest=rules.fetch_dataset.output.manifest,
    output:
        cells="<results>/{dataset}/read_cells/cells.h5",
        images="<results>/{dataset}/read_cells/images.h5",
    log:
        "<results>/{dataset}/logs/read_cells.log",
    benchmark:
        "<results>/{dataset}/benchmarks/read_cells.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("read_cells", "threads")
    resources:
        mem_mb=memory("read_cells"),
        runtime=minutes("read_cells"),
        gpu=need("read_cells", "gpu"),
    params:
        **stage_code("read_cells"),
        method=reader_code("read_cells"),
        config=lambda w: canonical(sections.dataset_section(config, w.dataset)),
    shell:
        "python -m cellscaper.stages.read_cells"
        " --manifest {input.manifest:q}"
        " --config {params.config:q}"
        " --cells {output.cells:q}"
        " --images {output.images:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule cut_patches:
    """Real layouts {wildcards.windows} of {wildcards.dataset}: windows of a field, or its targets or reference."""
    input:
        cells=rules.read_cells.output.cells,
    output:
        windows="<results>/{dataset}/cut_patches/{windows}.h5",
    log:
        "<results>/{dataset}/logs/cut_patches/{windows}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/cut_patches/{windows}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("cut_patches", "threads")
    resources:
        mem_mb=memory("cut_patches"),
        runtime=minutes("cut_patches"),
        gpu=need("cut_patches", "gpu"),
    params:
        **stage_code("cut_patches"),
        config=lambda w: canonical(sections.windows_section(config, w.windows)),
    shell:
        "python -m cellscaper.stages.cut_patches"
        " --cells {input.cells:q}"
        " --config {params.config:q}"
        " --windows {output.windows:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
