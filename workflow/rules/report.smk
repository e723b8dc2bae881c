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


# Params, for their paths as inputs would rerun the page in a copied folder.
PAGE = digest(
    [
        Path(SRC, "cellscaper/report", name).read_text(encoding="utf-8")
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
        galleries=lambda w: json.dumps([]),
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
