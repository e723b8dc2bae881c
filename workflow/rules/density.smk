# Density maps of the training images (Spatial Diffusion).


rule fit_density:
    """Density maps {wildcards.density} of each class in each training image."""
    input:
        cells=rules.read_cells.output.cells,
    output:
        maps="<results>/{dataset}/fit_density/{density}/stride{stride}.h5",
    log:
        "<results>/{dataset}/logs/fit_density/{density}-stride{stride}.log",
    benchmark:
        "<results>/{dataset}/benchmarks/fit_density/{density}-stride{stride}.tsv"
    conda:
        "../../envs/cellscaper.yaml"
    threads: need("fit_density", "threads")
    resources:
        mem_mb=memory("fit_density"),
        runtime=minutes("fit_density"),
        gpu=need("fit_density", "gpu"),
    params:
        **stage_code("fit_density"),
        method=lambda w: method_code(
            "fit_density", "density", config["densities"][w.density]["method"]
        ),
        config=lambda w: canonical(sections.density_section(config, w.density, int(w.stride))),
    shell:
        "python -m cellscaper.stages.fit_density"
        " --cells {input.cells:q}"
        " --config {params.config:q}"
        " --maps {output.maps:q}"
        " --threads {threads}"
        " 2>&1 | tee {log:q}"
