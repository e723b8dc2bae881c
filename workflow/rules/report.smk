# The pages that people open: one report a run, one gallery a dataset.

GALLERIES = figures.galleries()


rule make_gallery:
    """Real, generated and random layouts of {wildcards.dataset} to look through."""
    input:
        lambda w: figures.gallery_inputs(w.dataset),
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        gallery="<results>/{dataset}/gallery.html",
    log:
        "<results>/{dataset}/logs/make_gallery.log",
    benchmark:
        "<results>/{dataset}/benchmarks/make_gallery.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("make_gallery", "threads")
    resources:
        mem_mb=memory("make_gallery"),
        runtime=minutes("make_gallery"),
        gpu=need("make_gallery", "gpu"),
    params:
        **stage_code("make_gallery"),
        config=lambda w: canonical(figures.gallery(w.dataset)),
    shell:
        "python -m cellscaper.stages.make_gallery"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --dataset {wildcards.dataset}"
        " --config {params.config:q}"
        " --gallery {output.gallery:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule make_report:
    """One page with every table, every figure, times, environment, seeds and what was not run; its RO-Crate."""
    input:
        figures.run_files(),
        tables=[
            f"{outputs.folder(dataset)}/tables/{table}.csv" for dataset, table in tables.wanted()
        ],
        figures=[figure for _, figure in figures.all_figures()],
        galleries=GALLERIES,
        cells=[outputs.cells(dataset) for dataset in config["run"]["datasets"]],
    output:
        report="<results>/report.html",
        crate="<results>/ro-crate-metadata.json",
        workflow="<results>/crate/Snakefile",
        configuration="<results>/crate/config.yaml",
    log:
        "<results>/logs/make_report.log",
    benchmark:
        "<results>/benchmarks/make_report.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("make_report", "threads")
    resources:
        mem_mb=memory("make_report"),
        runtime=minutes("make_report"),
        gpu=need("make_report", "gpu"),
    params:
        **stage_code("make_report"),
        snakefile=os.path.relpath(ROOT / "Snakefile"),
        # functions, because Snakemake would take the braces of a plain text as wildcards
        framing=lambda w: canonical({one: tables.framing(one) for one in config["run"]["tables"]}),
        left_out=lambda w: canonical(left_out),
        # in its own order, which the page shows
        config=lambda w: json.dumps(figures.shown_configuration(), ensure_ascii=False),
    shell:
        "python -m cellscaper.stages.make_report"
        " --snakefile {params.snakefile:q}"
        " --tables {input.tables:q}"
        " --framing {params.framing:q}"
        " --left-out {params.left_out:q}"
        " --figures {input.figures:q}"
        " --galleries {input.galleries:q}"
        " --config {params.config:q}"
        " --report {output.report:q}"
        " --crate {output.crate:q}"
        " --workflow {output.workflow:q}"
        " --configuration {output.configuration:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
