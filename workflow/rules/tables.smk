# Tables and the pictures beside them.


def pairs_path(row):
    """The folder of what a detector was trained with: real images alone, or an experiment's pairs."""
    return f"{row['experiment']}/{row['decoder']}" if row["experiment"] else "real_only/points"


def table_scores(wildcards):
    """Score files of all rows of a table that are run, over all seeds."""
    block, found = config["tables"][wildcards.table], []
    for row in settings.rows(config, wildcards.table):
        if block["kind"] == "layouts":
            stems = [f"score_layouts/{row['experiment']}/{row['decoder']}"]
        else:
            stems = [f"score_detections/{name}/{pairs_path(row)}" for name in block["detectors"]]
        found += [
            f"{RESULTS}/{wildcards.dataset}/{stem}/seed{seed}/scores.csv"
            for stem in stems
            for seed in config["seeds"]
        ]
    return sorted(set(found))


def picture_columns(wildcards):
    """[label, file, decoder] of each column of a table's picture: the first seed of each row, but not the floor."""
    block, seed = config["tables"][wildcards.table], config["seeds"][0]
    folder, found = f"{RESULTS}/{wildcards.dataset}", []
    for row in settings.rows(config, wildcards.table):
        if block["kind"] == "detections":
            file = f"{folder}/detect_cells/{block['detectors'][0]}/{pairs_path(row)}/seed{seed}/cells.h5"
            found.append([row["label"], file, None])
        elif experiment_generator(row["experiment"]) != "real_halves":
            file = f"{folder}/sample_layouts/{row['experiment']}/test/seed{seed}/layouts.h5"
            found.append([row["label"], file, row["decoder"]])
    return found


def picture_inputs(wildcards):
    """The files behind a picture, by flag: real patches, or the test images and their cells; then the columns."""
    columns = [file for _, file, _ in picture_columns(wildcards)]
    folder = f"{RESULTS}/{wildcards.dataset}"
    if config["tables"][wildcards.table]["kind"] == "layouts":
        first = settings.rows(config, wildcards.table)[0]["experiment"]
        return {"patches": patches_file(wildcards.dataset, first), "columns": columns}
    cells, images = f"{folder}/read_cells/cells.h5", f"{folder}/read_cells/images.h5"
    return {"cells": cells, "images": images, "columns": columns}


rule make_tables:
    """Table {wildcards.table} on {wildcards.dataset}: ours, the paper's and the difference."""
    input:
        cells=rules.read_cells.output.cells,
        scores=table_scores,
        values=workflow.source_path("../../src/cellscaper/report/paper_values.yaml"),
    output:
        csv=RESULTS + "/{dataset}/tables/{table}.csv",
        markdown=RESULTS + "/{dataset}/tables/{table}.md",
        latex=RESULTS + "/{dataset}/tables/{table}.tex",
    log:
        RESULTS + "/{dataset}/logs/tables/{table}.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/tables/{table}.tsv"
    params:
        **stage_code("make_tables"),
        config=lambda w: canonical(settings.table_section(config, w.table)),
    localrule: True
    threads: need("make_tables", "threads")
    resources:
        mem_mb=memory("make_tables"),
        runtime=need("make_tables", "runtime"),
        gpu=need("make_tables", "gpu"),
    conda:
        "../../envs/cellscaper.yaml"
    shell:
        STAGE + "make_tables"
        " --cells {input.cells:q}"
        " --scores '{input.scores}'"
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
    params:
        **stage_code("draw_table"),
        columns=lambda w: canonical(picture_columns(w)),
        kind=lambda w: config["tables"][w.table]["kind"],
        config=canonical(config["metrics"]["detection"]),
        flags=lambda w: " ".join(
            f"--{name} {file}" for name, file in picture_inputs(w).items() if name != "columns"
        ),
    localrule: True
    threads: need("draw_table", "threads")
    resources:
        mem_mb=memory("draw_table"),
        runtime=need("draw_table", "runtime"),
        gpu=need("draw_table", "gpu"),
    conda:
        "../../envs/cellscaper.yaml"
    shell:
        STAGE + "draw_table"
        " {params.flags}"
        " --kind {params.kind}"
        " --columns {params.columns:q}"
        " --config {params.config:q}"
        " --picture {output.picture:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
