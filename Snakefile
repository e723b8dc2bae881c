"""cellscaper: cell layouts, H&E images and detectors of two papers, from cells to tables.

snakemake --workflow-profile workflow/profiles/local                               the papers' values
snakemake --workflow-profile workflow/profiles/local --configfile workflow/presets/demo.yaml
"""

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/shell.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/density.smk"
include: "workflow/rules/layout.smk"
include: "workflow/rules/image.smk"
include: "workflow/rules/sets.smk"
include: "workflow/rules/detect.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    """Every table and every figure of the configuration, and the report of the run."""
    default_target: True
    input:
        figures.run_files(),
        rules.make_report.output.report,
        GALLERIES,
        outputs.set_files(),


rule sets:
    """Every part of the generated sets of the configuration (`sets`), and nothing else."""
    input:
        outputs.set_files(),


onstart:
    # Snakemake 9.27 looks for free jobs once a second for its default rate, and once more for each job that has ended:
    # 160 looks a second after 160 jobs, 40 % of a core.
    rate = workflow.scheduling_settings.max_jobs_per_timespan
    if rate and (rate.max_jobs, rate.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
