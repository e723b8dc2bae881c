# Tables: ours, the papers' and the difference. Their pictures and all figures: figures.smk.


rule make_tables:
    """Table {wildcards.table} on {wildcards.dataset}: ours, the paper's and the difference."""
    input:
        cells=rules.read_cells.output.cells,
        scores=lambda w: outputs.table_scores(w.dataset, w.table),
        counts=lambda w: outputs.table_counts(w.dataset, w.table),
    output:
        csv="<results>/{dataset}/tables/{table}.csv",
        notes="<results>/{dataset}/tables/{table}.notes.json",
        markdown="<results>/{dataset}/tables/{table}.md",
        latex="<results>/{dataset}/tables/{table}.tex",
    log:
        "<results>/{dataset}/logs/tables/{table}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/tables/{table}.tsv"
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
        config=lambda w: canonical(tables.section(w.table)),
    shell:
        "python -m cellscaper.stages.make_tables"
        " --cells {input.cells:q}"
        " --scores {input.scores:q}"
        " --counts {input.counts:q}"
        " --dataset {wildcards.dataset}"
        " --table {wildcards.table}"
        " --config {params.config:q}"
        " --csv {output.csv:q}"
        " --notes {output.notes:q}"
        " --markdown {output.markdown:q}"
        " --latex {output.latex:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
