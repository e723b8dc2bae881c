"""cellscaper: the flow is workflow/Snakefile, where the Snakemake catalog and other workflows look for it.

snakemake --workflow-profile workflow/profiles/local                               the papers' values
snakemake --workflow-profile workflow/profiles/local --configfile workflow/presets/demo.yaml
"""


include: "workflow/Snakefile"


if workflow.modifier.is_main_snakefile():
    workflow.default_target = "all"  # an included file sets none
