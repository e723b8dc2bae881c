# The pages that people open: one report a run.


def run_files():
    """Every table and every figure of the configuration."""
    tables = [
        f"{RESULTS}/{dataset}/tables/{table}.{kind}"
        for dataset, table in settings.wanted_tables(config)
        for kind in ("csv", "md", "tex", "png")
    ]
    return tables + [figure for _, figure in all_figures()]


def all_figures():
    """(dataset, file) of every figure beside those of the tables."""
    return [
        (dataset, figure) for dataset in config["run"]["datasets"] for figure in figures(dataset)
    ]


@functools.cache
def gallery_section(dataset):
    """What a dataset's gallery shows: layouts matched to each kind of test windows, and painted pairs."""
    folder = f"{RESULTS}/{dataset}"
    windows = [
        {
            "patches": f"{folder}/cut_patches/{name}.h5",
            "columns": [sampled(dataset, row) for row in region_rows(dataset, name)],
        }
        for name in window_names(dataset)
    ]
    pairs = {}
    for row in painted_rows(dataset):
        rest = f"{row['experiment']}/{{}}/{FIRST_SEED}"
        pairs[row["experiment"], row["decoder"]] = [
            row["label"],
            f"{folder}/sample_layouts/{rest.format('train')}/layouts.h5",
            row["decoder"],
            f"{folder}/paint_images/{rest.format(row['decoder'])}/images.h5",
        ]
    return {
        "windows": [block for block in windows if block["columns"]],
        "pairs": list(pairs.values()),
    }


def gallery_inputs(wildcards):
    """The files behind a gallery."""
    section = gallery_section(wildcards.dataset)
    layouts = [file for block in section["windows"] for _, file, _ in block["columns"]]
    painted = [file for _, one, _, other in section["pairs"] for file in (one, other)]
    return sorted({*(block["patches"] for block in section["windows"]), *layouts, *painted})


# Datasets with something to look through.
GALLERIES = [
    f"{RESULTS}/{dataset}/gallery.html"
    for dataset in config["run"]["datasets"]
    if any(gallery_section(dataset).values())
]
GALLERY_TEMPLATE = digest(
    Path(SRC, "cellscaper/report/pages/gallery.html").read_text(encoding="utf-8")
)

# Params, for their paths as inputs would rerun the page in a copied folder.
PAGE = digest(
    [
        Path(SRC, "cellscaper/report/pages", name).read_text(encoding="utf-8")
        for name in ("report.html", "captions.yaml")
    ]
)

# In its own order: the page shows it. Without resources: more cores make no other report.
WHOLE_CONFIG = json.dumps(
    {key: value for key, value in config.items() if key != "resources"}, ensure_ascii=False
)


rule make_report:
    """One page with every table, every figure, times, environment, seeds and what was not run."""
    input:
        run_files(),
        GALLERIES,
        cells=[f"{RESULTS}/{dataset}/read_cells/cells.h5" for dataset in config["run"]["datasets"]],
    output:
        report=RESULTS + "/report.html",
    log:
        RESULTS + "/logs/make_report.log",
    benchmark:
        RESULTS + "/benchmarks/make_report.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("make_report", "threads")
    resources:
        mem_mb=memory("make_report"),
        runtime=need("make_report", "runtime"),
        gpu=need("make_report", "gpu"),
    params:
        **stage_code("make_report"),
        snakefile=os.path.relpath(workflow.main_snakefile),
        page=PAGE,
        # functions, for Snakemake would take the braces of a plain text as wildcards
        figures=lambda w: json.dumps(all_figures()),
        galleries=lambda w: json.dumps([os.path.relpath(file, RESULTS) for file in GALLERIES]),
        config=lambda w: WHOLE_CONFIG,
    shell:
        STAGE + "make_report"
        " --snakefile {params.snakefile:q}"
        " --results " + RESULTS + " --figures {params.figures:q}"
        " --galleries {params.galleries:q}"
        " --config {params.config:q}"
        " --report {output.report:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"


rule make_gallery:
    """Real, generated and random layouts of {wildcards.dataset} to look through."""
    input:
        gallery_inputs,
        cells=rules.read_cells.output.cells,
        images=rules.read_cells.output.images,
    output:
        gallery=RESULTS + "/{dataset}/gallery.html",
    log:
        RESULTS + "/{dataset}/logs/make_gallery.log",
    benchmark:
        RESULTS + "/{dataset}/benchmarks/make_gallery.tsv"
    localrule: True
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("make_gallery", "threads")
    resources:
        mem_mb=memory("make_gallery"),
        runtime=need("make_gallery", "runtime"),
        gpu=need("make_gallery", "gpu"),
    params:
        **stage_code("make_gallery"),
        page=GALLERY_TEMPLATE,
        config=lambda w: canonical(gallery_section(w.dataset)),
    shell:
        STAGE + "make_gallery"
        " --cells {input.cells:q}"
        " --images {input.images:q}"
        " --dataset {wildcards.dataset}"
        " --config {params.config:q}"
        " --gallery {output.gallery:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
