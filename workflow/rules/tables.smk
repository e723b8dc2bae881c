# Tables, the pictures beside them, figures.


def pairs_path(row):
    """The folder of what a detector was trained with: real images alone, or an experiment's pairs."""
    return f"{row['experiment']}/{row['decoder']}" if row["experiment"] else "real_only/points"


def table_scores(wildcards):
    """Score files of all rows of a table that are run, over all seeds."""
    block, found = config["tables"][wildcards.table], []
    for row in table_rows(wildcards.table):
        if block["kind"] == "detections":
            stems = [f"score_detections/{name}/{pairs_path(row)}" for name in block["detectors"]]
        else:
            stems = [f"score_{block['kind']}/{row['experiment']}/{row['decoder']}"]
        found += [
            f"{RESULTS}/{wildcards.dataset}/{stem}/seed{seed}/scores.csv"
            for stem in stems
            for seed in config["seeds"]
        ]
    return sorted(set(found))


def table_counts(wildcards):
    """Every image's counts behind a table of detections, over all seeds."""
    if config["tables"][wildcards.table]["kind"] != "detections":
        return []
    return [file.replace("/scores.csv", "/counts.csv") for file in table_scores(wildcards)]


def picture_columns(wildcards):
    """[label, file, decoder] of each column of a table's picture: the first seed of each row, but not the floor."""
    block = config["tables"][wildcards.table]
    folder, found = f"{RESULTS}/{wildcards.dataset}", []
    for row in table_rows(wildcards.table):
        if block["kind"] == "detections":
            file = f"{folder}/detect_cells/{block['detectors'][0]}/{pairs_path(row)}/{FIRST_SEED}/cells.h5"
            found.append([row["label"], file, None])
        elif experiment_generator(row["experiment"]) == "real_halves":
            continue
        elif block["kind"] == "images":
            file = f"{folder}/paint_images/{pairs_path(row)}/{FIRST_SEED}/images.h5"
            found.append([row["label"], file, None])
        else:
            file = f"{folder}/sample_layouts/{row['experiment']}/test/{FIRST_SEED}/layouts.h5"
            found.append([row["label"], file, row["decoder"]])
    return found


def picture_inputs(wildcards):
    """The files behind a picture, by flag: real patches, or the test images and their cells; then the columns."""
    columns = [file for _, file, _ in picture_columns(wildcards)]
    folder = f"{RESULTS}/{wildcards.dataset}"
    if config["tables"][wildcards.table]["kind"] == "layouts":
        first = table_rows(wildcards.table)[0]["experiment"]
        return {"patches": patches_file(wildcards.dataset, first), "columns": columns}
    cells, images = f"{folder}/read_cells/cells.h5", f"{folder}/read_cells/images.h5"
    return {"cells": cells, "images": images, "columns": columns}


@functools.cache
def all_rows(dataset, kind):
    """(table, row) of every row that is run in the wanted tables of one kind."""
    return [
        (table, row)
        for where, table in settings.wanted_tables(config)
        if where == dataset and config["tables"][table]["kind"] == kind
        for row in table_rows(table)
    ]


@functools.cache
def painted_rows(dataset):
    """Rows whose layouts are painted: of tables of images, and of detectors trained with pairs."""
    images = [
        row
        for _, row in all_rows(dataset, "images")
        if experiment_generator(row["experiment"]) != "real_halves"
    ]
    return images + [row for _, row in all_rows(dataset, "detections") if row["experiment"]]


def training_logs(wildcards):
    """[label, losses.csv] of each training of one kind, first seed; of detectors the first mixing ratio."""
    painted = painted_rows(wildcards.dataset)
    sampled = painted + [row for _, row in all_rows(wildcards.dataset, "layouts")]
    if wildcards.training == "train_features":
        names = [row["experiment"] for _, row in all_rows(wildcards.dataset, "layouts")]
        found = [one for name in names for one in settings.shared_features(config, name)]
    elif wildcards.training == "train_image":
        found = [settings.shared_image_model(config, row["experiment"]) for row in painted]
    elif wildcards.training == "train_layout":
        names = [row["experiment"] for row in sampled]
        found = [shared_training(name) for name in names if settings.is_trained(config, name)]
    else:
        found = [
            f"{detector}/{pairs_path(row)}/mix{settings.mixes(config, detector, row['experiment'])[0]}"
            for table, row in all_rows(wildcards.dataset, "detections")
            for detector in config["tables"][table]["detectors"]
        ]
        if all_rows(wildcards.dataset, "images"):
            found.append(f"{config['metrics']['images']['detector']}/real_only/points/mix0")
    folder = f"{RESULTS}/{wildcards.dataset}/{wildcards.training}"
    return [[name, f"{folder}/{name}/{FIRST_SEED}/losses.csv"] for name in sorted(set(found))]


@functools.cache
def layout_rows(dataset):
    """Rows of the tables with `figures` that are run, each experiment and decoder once, without the floors."""
    found = {}
    for table, row in all_rows(dataset, "layouts"):
        shown = config["tables"][table].get("figures", False)
        if shown and experiment_generator(row["experiment"]) != "real_halves":
            found.setdefault((row["experiment"], row["decoder"]), row)
    return list(found.values())


def sampled(dataset, row):
    """[label, file, decoder] of a row, first seed."""
    file = f"{RESULTS}/{dataset}/sample_layouts/{row['experiment']}/test/{FIRST_SEED}/layouts.h5"
    return [row["label"], file, row["decoder"]]


def region_rows(dataset, region):
    """Rows of the test windows `region` as the protocol `paper` reads them: trained systems, retrieval, random."""
    return [
        row
        for row in layout_rows(dataset)
        if settings.named(config, row["experiment"])["patches"] == region
        and (
            row["decoder"] == "components"
            or experiment_generator(row["experiment"]) in ("retrieval", "random")
        )
    ]


def density_rows(dataset):
    """Rows whose maps hold a density, as the protocol `paper` reads them."""
    return [
        row
        for row in layout_rows(dataset)
        if settings.named(config, row["experiment"])["density"] != "none"
        and row["decoder"] == "components"
    ]


def fitted_maps(dataset):
    """[label, file] of the fitted maps behind those rows, each estimator once."""
    found = {}
    for row in density_rows(dataset):
        name = settings.named(config, row["experiment"])["density"]
        stride = settings.density_stride(config, row["experiment"])
        found[f"real, {name}"] = f"{RESULTS}/{dataset}/fit_density/{name}/stride{stride}.h5"
    return [list(item) for item in found.items()]


def window_names(dataset):
    """The kinds of test windows that the layout tables of a dataset use."""
    return sorted(
        {settings.named(config, row["experiment"])["patches"] for row in layout_rows(dataset)}
    )


@functools.cache
def figures(dataset):
    """The figures of a dataset beside those of its tables."""
    folder = f"{RESULTS}/{dataset}/figures"
    painted = {
        f"{folder}/images/{row['experiment']}-{row['decoder']}.png" for row in painted_rows(dataset)
    }
    curves = [
        f"{folder}/{training}.png"
        for training in ("train_layout", "train_features", "train_image", "train_detector")
        if training_logs(SimpleNamespace(dataset=dataset, training=training))
    ]
    densities = [f"{folder}/density.png"] if density_rows(dataset) else []
    radii = [
        f"{folder}/radii-{table}.png"
        for where, table in settings.wanted_tables(config)
        if where == dataset
        and config["tables"][table]["kind"] == "detections"
        and config["tables"][table].get("figures", False)
    ]
    intervals = [
        f"{folder}/intervals-{table}.png"
        for where, table in settings.wanted_tables(config)
        if where == dataset and interval_rows(table)
    ]
    windows = [
        f"{folder}/{kind}-{name}.png"
        for name in window_names(dataset)
        for kind in ("counts", "persistence")
    ]
    return intervals + radii + sorted(painted) + curves + densities + windows


def interval_rows(table):
    """The rows of a table that are run and frame nothing: those that have dots in its figure of intervals."""
    framing = framing_rows(table)
    return [row for row in table_rows(table) if row["row"] not in framing]


@functools.cache
def framing_rows(table):
    """The rows of a table between which its others stand (settings.framing), found once."""
    return settings.framing(config, table)


def intervals_section(wildcards):
    """Floor, ceiling and lines of a table's figure of intervals."""
    framing, rows = (
        framing_rows(wildcards.table),
        config["tables"][wildcards.table]["rows"],
    )
    return {
        "floor": [row for row, kind in framing.items() if kind == "floor"],
        "ceiling": [row for row, kind in framing.items() if kind == "ceiling"],
        "curves": {row: block["curve"] for row, block in rows.items() if "curve" in block},
    }


# A param, for its path as an input would rerun the tables in a copied folder.
PAPER_VALUES = digest(
    Path(SRC, "cellscaper/report/tables/paper_values.yaml").read_text(encoding="utf-8")
)


rule make_tables:
    """Table {wildcards.table} on {wildcards.dataset}: ours, the paper's and the difference."""
    input:
        cells=rules.read_cells.output.cells,
        scores=table_scores,
        counts=table_counts,
    output:
        csv=RESULTS + "/{dataset}/tables/{table}.csv",
        markdown=RESULTS + "/{dataset}/tables/{table}.md",
        latex=RESULTS + "/{dataset}/tables/{table}.tex",
    log:
        RESULTS + "/{dataset}/logs/tables/{table}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/tables/{table}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("make_tables", "threads")
    resources:
        mem_mb=memory("make_tables"),
        runtime=minutes("make_tables"),
        gpu=need("make_tables", "gpu"),
    params:
        **stage_code("make_tables"),
        values=PAPER_VALUES,
        config=lambda w: canonical(settings.table_section(config, w.table)),
    shell:
        STAGE + "make_tables"
        " --cells {input.cells:q}"
        " --scores '{input.scores}'"
        " --counts '{input.counts}'"
        " --dataset {wildcards.dataset}"
        " --table {wildcards.table}"
        " --config {params.config:q}"
        " --csv {output.csv:q}"
        " --markdown {output.markdown:q}"
        " --latex {output.latex:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_table:
    """The picture beside table {wildcards.table} on {wildcards.dataset}."""
    input:
        unpack(picture_inputs),
    output:
        picture=RESULTS + "/{dataset}/tables/{table}.png",
    log:
        RESULTS + "/{dataset}/logs/tables/{table}-picture.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/tables/{table}-picture.tsv"
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
        columns=lambda w: canonical(picture_columns(w)),
        kind=lambda w: config["tables"][w.table]["kind"],
        config=canonical(config["metrics"]["detection"]),
        flags=lambda w: " ".join(
            f"--{name} {file}" for name, file in picture_inputs(w).items() if name != "columns"
        ),
    shell:
        STAGE + "draw_table"
        " {params.flags}"
        " --kind {params.kind}"
        " --columns {params.columns:q}"
        " --config {params.config:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_images:
    """Layouts and painted images of {wildcards.experiment}."""
    input:
        layouts=lambda w: f"{RESULTS}/{w.dataset}/sample_layouts/{w.experiment}/train/{FIRST_SEED}/layouts.h5",
        painted=lambda w: f"{RESULTS}/{w.dataset}/paint_images/{w.experiment}/{w.decoder}/{FIRST_SEED}/images.h5",
    output:
        picture=RESULTS + "/{dataset}/figures/images/{experiment}-{decoder}.png",
    log:
        RESULTS + "/{dataset}/logs/figures/images/{experiment}-{decoder}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/figures/images/{experiment}-{decoder}.tsv"
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
        STAGE + "draw_images"
        " --layouts {input.layouts:q}"
        " --painted {input.painted:q}"
        " --decoder {wildcards.decoder}"
        " --label {params.label:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_radii:
    """F1 of the rows of {wildcards.table} against the distance within which a detection counts."""
    input:
        counts=table_counts,
    output:
        picture=RESULTS + "/{dataset}/figures/radii-{table}.png",
    log:
        RESULTS + "/{dataset}/logs/figures/radii-{table}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/figures/radii-{table}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_radii", "threads")
    resources:
        mem_mb=memory("draw_radii"),
        runtime=need("draw_radii", "runtime"),
        gpu=need("draw_radii", "gpu"),
    params:
        **stage_code("draw_radii"),
        detectors=lambda w: " ".join(config["tables"][w.table]["detectors"]),
        rows=lambda w: canonical(
            [
                [row["label"], settings.pairs_name(row["experiment"], row.get("decoder"))]
                for row in table_rows(w.table)
            ]
        ),
    shell:
        STAGE + "draw_radii"
        " --counts '{input.counts}'"
        " --rows {params.rows:q}"
        " --detectors {params.detectors:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_training:
    """Losses of every {wildcards.training} over its steps."""
    input:
        lambda w: [file for _, file in training_logs(w)],
    output:
        picture=RESULTS + "/{dataset}/figures/{training}.png",
    log:
        RESULTS + "/{dataset}/logs/figures/{training}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/figures/{training}.tsv"
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
        logs=lambda w: canonical(training_logs(w)),
    shell:
        STAGE + "draw_training"
        " --logs {params.logs:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_density:
    """Generated layouts with the density maps generated beside them (SD Figs. 3 and 4)."""
    input:
        cells=rules.read_cells.output.cells,
        fitted=lambda w: [file for _, file in fitted_maps(w.dataset)],
        layouts=lambda w: [sampled(w.dataset, row)[1] for row in density_rows(w.dataset)],
    output:
        picture=RESULTS + "/{dataset}/figures/density.png",
    log:
        RESULTS + "/{dataset}/logs/figures/density.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/figures/density.tsv"
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
        fitted=lambda w: canonical(fitted_maps(w.dataset)),
        rows=lambda w: canonical([sampled(w.dataset, row) for row in density_rows(w.dataset)]),
    shell:
        STAGE + "draw_density"
        " --cells {input.cells:q}"
        " --fitted {params.fitted:q}"
        " --rows {params.rows:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_counts:
    """Cells of training crops, test windows {wildcards.patches} and generated layouts (TC Fig. 7)."""
    input:
        cells=rules.read_cells.output.cells,
        patches=rules.cut_patches.output.patches,
        layouts=lambda w: [sampled(w.dataset, row)[1] for row in region_rows(w.dataset, w.patches)],
    output:
        picture=RESULTS + "/{dataset}/figures/counts-{patches}.png",
    log:
        RESULTS + "/{dataset}/logs/figures/counts-{patches}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/figures/counts-{patches}.tsv"
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
        region=lambda w: config["patches"][w.patches]["region"],
        columns=lambda w: canonical(
            [sampled(w.dataset, row) for row in region_rows(w.dataset, w.patches)]
        ),
    shell:
        STAGE + "draw_counts"
        " --cells {input.cells:q}"
        " --patches {input.patches:q}"
        " --region {params.region}"
        " --columns {params.columns:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_persistence:
    """Holes of real and generated layouts of windows {wildcards.patches}, and their persistence diagrams."""
    input:
        patches=rules.cut_patches.output.patches,
        layouts=lambda w: [sampled(w.dataset, row)[1] for row in region_rows(w.dataset, w.patches)],
    output:
        picture=RESULTS + "/{dataset}/figures/persistence-{patches}.png",
    log:
        RESULTS + "/{dataset}/logs/figures/persistence-{patches}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/figures/persistence-{patches}.tsv"
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
        columns=lambda w: canonical(
            [sampled(w.dataset, row) for row in region_rows(w.dataset, w.patches)]
        ),
    shell:
        STAGE + "draw_persistence"
        " --patches {input.patches:q}"
        " --columns {params.columns:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule draw_intervals:
    """Table {wildcards.table} on {wildcards.dataset} as dots with intervals between floor and ceiling."""
    input:
        table=rules.make_tables.output.csv,
    output:
        picture=RESULTS + "/{dataset}/figures/intervals-{table}.png",
    log:
        RESULTS + "/{dataset}/logs/figures/intervals-{table}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/figures/intervals-{table}.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("draw_intervals", "threads")
    resources:
        mem_mb=memory("draw_intervals"),
        runtime=need("draw_intervals", "runtime"),
        gpu=need("draw_intervals", "gpu"),
    params:
        **stage_code("draw_intervals"),
        config=lambda w: canonical(intervals_section(w)),
    shell:
        STAGE + "draw_intervals"
        " --table {input.table:q}"
        " --config {params.config:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
