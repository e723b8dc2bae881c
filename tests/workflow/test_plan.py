"""`cellscaper plan` against the jobs that Snakemake plans for the papers' configuration."""

from collections import Counter

from cellscaper.plan.cards import card
from cellscaper.plan.configuration import configuration
from cellscaper.plan.cost import Costs
from cellscaper.plan.outputs import Outputs


def test_the_cost_counts_the_jobs_that_snakemake_plans(papers):
    jobs, _ = papers
    costs = Costs(Outputs(configuration()), card("a100"))
    counted = Counter()
    for group in costs.groups:
        counted[group.dataset, group.rule] += group.jobs
    rules = {rule for _, rule in counted}
    trained = costs.experiments
    planned = Counter(
        (job.pairs("wildcards")["dataset"], job.rule)
        for job in jobs
        if job.rule in rules
        and (job.rule != "sample_layouts" or trained[job.pairs("wildcards")["experiment"]].is_trained)
    )
    assert counted == planned
    assert counted["brca_m2c", "train_layout"] > 100
