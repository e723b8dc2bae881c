# Figures, and the pictures beside the tables.


rule draw_table:
    """The picture beside table {wildcards.table} on {wildcards.dataset}."""
    input:
        unpack(picture_inputs),
    output:
        picture="<results>/{dataset}/tables/{table}.png",
    log:
        "<results>/{dataset}/logs/tables/{table}-picture.log",
    benchmark:
        "<results>/{dataset}/benchmarks/tables/{table}-picture.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_table", "threads")
    resources:
        mem_mb=memory("draw_table"),
        runtime=minutes("draw_table"),
        gpu=need("draw_table", "gpu"),
    params:
        **stage_code("draw_table"),
        labels=lambda w: labels(figures.picture_columns(w.dataset, w.table)),
        decoders=lambda w: decoders(figures.picture_columns(w.dataset, w.table)),
        kind=lambda w: tables.kind(w.table),
        config=canonical({"radius": config["metrics"]["detection"]["radius"]}),
    shell:
        "python -m cellscaper.stages.draw_table"
        " --windows {input.windows:q}"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --kind {params.kind}"
        " --columns {input.columns:q}"
        " --decoders {params.decoders:q}"
        " --labels {params.labels:q}"
        " --config {params.config:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_overview:
    """Real tissue, generated cells and the images painted for them on {wildcards.dataset}: the report opens with it."""
    input:
        unpack(lambda w: figures.overview_inputs(w.dataset)),
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        picture="<results>/{dataset}/figures/overview.png",
    log:
        "<results>/{dataset}/logs/figures/overview.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/overview.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_overview", "threads")
    resources:
        mem_mb=memory("draw_overview"),
        runtime=minutes("draw_overview"),
        gpu=need("draw_overview", "gpu"),
    params:
        **stage_code("draw_overview"),
        labels=lambda w: [pair.label.removeprefix("+ ") for pair in figures.overview(w.dataset)],
        decoders=lambda w: [pair.decoder for pair in figures.overview(w.dataset)],
    shell:
        "python -m cellscaper.stages.draw_overview"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --windows {input.windows:q}"
        " --layouts {input.layouts:q}"
        " --decoders {params.decoders:q}"
        " --painted {input.painted:q}"
        " --labels {params.labels:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_images:
    """Layouts and painted images of {wildcards.experiment}."""
    input:
        unpack(lambda w: figures.pair_files(w.dataset, w.experiment, w.decoder)),
    output:
        picture="<results>/{dataset}/figures/images/{experiment}-{decoder}.png",
    log:
        "<results>/{dataset}/logs/figures/images/{experiment}-{decoder}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/images/{experiment}-{decoder}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_images", "threads")
    resources:
        mem_mb=memory("draw_images"),
        runtime=minutes("draw_images"),
        gpu=need("draw_images", "gpu"),
    params:
        **stage_code("draw_images"),
        label="{experiment}",
    shell:
        "python -m cellscaper.stages.draw_images"
        " --layouts {input.layouts:q}"
        " --painted {input.painted:q}"
        " --decoder {wildcards.decoder}"
        " --label {params.label:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_copies:
    """Crops of the images of {wildcards.experiment} beside the training crops that they copy or come nearest to."""
    input:
        painted=lambda w: figures.pair_files(w.dataset, w.experiment, w.decoder)["painted"],
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        picture="<results>/{dataset}/figures/copies/{experiment}-{decoder}.png",
    log:
        "<results>/{dataset}/logs/figures/copies/{experiment}-{decoder}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/copies/{experiment}-{decoder}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_copies", "threads")
    resources:
        mem_mb=memory("draw_copies"),
        runtime=minutes("draw_copies"),
        gpu=need("draw_copies", "gpu"),
    params:
        **stage_code("draw_copies"),
        config=lambda w: canonical(config["metrics"]["image_copies"]),
    shell:
        "python -m cellscaper.stages.draw_copies"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --painted {input.painted:q}"
        " --config {params.config:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_radii:
    """F1 of the rows of {wildcards.table} against the distance within which a detection counts."""
    input:
        counts=lambda w: outputs.table_counts(w.dataset, w.table),
    output:
        picture="<results>/{dataset}/figures/radii-{table}.png",
    log:
        "<results>/{dataset}/logs/figures/radii-{table}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/radii-{table}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_radii", "threads")
    resources:
        mem_mb=memory("draw_radii"),
        runtime=minutes("draw_radii"),
        gpu=need("draw_radii", "gpu"),
    params:
        **stage_code("draw_radii"),
        detectors=lambda w: tables.detectors(w.table),
        labels=lambda w: [row.label for row in tables.rows(w.table)],
        rows=lambda w: [pairs_name(row.experiment, row.decoder) for row in tables.rows(w.table)],
    shell:
        "python -m cellscaper.stages.draw_radii"
        " --counts {input.counts:q}"
        " --rows {params.rows:q}"
        " --labels {params.labels:q}"
        " --detectors {params.detectors:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_training:
    """Losses of every {wildcards.training} over its steps."""
    input:
        logs=lambda w: files(figures.training_logs(w.dataset, w.training)),
    output:
        picture="<results>/{dataset}/figures/{training}.png",
    log:
        "<results>/{dataset}/logs/figures/{training}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/{training}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_training", "threads")
    resources:
        mem_mb=memory("draw_training"),
        runtime=minutes("draw_training"),
        gpu=need("draw_training", "gpu"),
    params:
        **stage_code("draw_training"),
        labels=lambda w: labels(figures.training_logs(w.dataset, w.training)),
    shell:
        "python -m cellscaper.stages.draw_training"
        " --logs {input.logs:q}"
        " --labels {params.labels:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_density:
    """Generated layouts with the density maps generated beside them (SD Figs. 3 and 4)."""
    input:
        cells=rules.read_cells.output.cells,
        fitted=lambda w: files(figures.fitted_maps(w.dataset)),
        layouts=lambda w: files(figures.density_sources(w.dataset)),
    output:
        picture="<results>/{dataset}/figures/density.png",
    log:
        "<results>/{dataset}/logs/figures/density.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/density.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_density", "threads")
    resources:
        mem_mb=memory("draw_density"),
        runtime=minutes("draw_density"),
        gpu=need("draw_density", "gpu"),
    params:
        **stage_code("draw_density"),
        fitted_labels=lambda w: labels(figures.fitted_maps(w.dataset)),
        labels=lambda w: labels(figures.density_sources(w.dataset)),
        decoders=lambda w: decoders(figures.density_sources(w.dataset)),
    shell:
        "python -m cellscaper.stages.draw_density"
        " --cells {input.cells:q}"
        " --fitted {input.fitted:q}"
        " --fitted-labels {params.fitted_labels:q}"
        " --layouts {input.layouts:q}"
        " --decoders {params.decoders:q}"
        " --labels {params.labels:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_counts:
    """Cells of training crops, test windows of {wildcards.field} and generated layouts (TC Fig. 7)."""
    input:
        cells=rules.read_cells.output.cells,
        windows=lambda w: outputs.windows(w.dataset, w.field),
        layouts=lambda w: files(figures.sources(w.dataset, w.field)),
    output:
        picture="<results>/{dataset}/figures/counts-{field}.png",
    log:
        "<results>/{dataset}/logs/figures/counts-{field}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/counts-{field}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_counts", "threads")
    resources:
        mem_mb=memory("draw_counts"),
        runtime=minutes("draw_counts"),
        gpu=need("draw_counts", "gpu"),
    params:
        **stage_code("draw_counts"),
        region=lambda w: config["fields"][w.field]["region"],
        labels=lambda w: labels(figures.sources(w.dataset, w.field)),
        decoders=lambda w: decoders(figures.sources(w.dataset, w.field)),
    shell:
        "python -m cellscaper.stages.draw_counts"
        " --cells {input.cells:q}"
        " --windows {input.windows:q}"
        " --region {params.region}"
        " --layouts {input.layouts:q}"
        " --decoders {params.decoders:q}"
        " --labels {params.labels:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_persistence:
    """Holes of real and generated layouts of {wildcards.field}, and their persistence diagrams."""
    input:
        windows=lambda w: outputs.targets(w.dataset, w.field),
        layouts=lambda w: files(figures.sources(w.dataset, w.field)),
    output:
        picture="<results>/{dataset}/figures/persistence-{field}.png",
    log:
        "<results>/{dataset}/logs/figures/persistence-{field}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/persistence-{field}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_persistence", "threads")
    resources:
        mem_mb=memory("draw_persistence"),
        runtime=minutes("draw_persistence"),
        gpu=need("draw_persistence", "gpu"),
    params:
        **stage_code("draw_persistence"),
        labels=lambda w: labels(figures.sources(w.dataset, w.field)),
        decoders=lambda w: decoders(figures.sources(w.dataset, w.field)),
    shell:
        "python -m cellscaper.stages.draw_persistence"
        " --windows {input.windows:q}"
        " --layouts {input.layouts:q}"
        " --decoders {params.decoders:q}"
        " --labels {params.labels:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_intervals:
    """Table {wildcards.table} on {wildcards.dataset} as dots with intervals between its reference rows."""
    input:
        table=rules.make_tables.output.csv,
    output:
        picture="<results>/{dataset}/figures/intervals-{table}.png",
    log:
        "<results>/{dataset}/logs/figures/intervals-{table}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/figures/intervals-{table}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_intervals", "threads")
    resources:
        mem_mb=memory("draw_intervals"),
        runtime=minutes("draw_intervals"),
        gpu=need("draw_intervals", "gpu"),
    params:
        **stage_code("draw_intervals"),
        config=lambda w: canonical(tables.intervals_section(w.table)),
    shell:
        "python -m cellscaper.stages.draw_intervals"
        " --table {input.table:q}"
        " --config {params.config:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
