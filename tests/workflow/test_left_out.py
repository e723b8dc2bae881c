"""A data set of a run of which nothing is given: the report of the others says why it has no numbers."""

import html
import re

ROW = re.compile(r'<tr><th scope="row">(.*?)</th><td class="text">(.*?)</td><td class="text">(.*?)</td></tr>')


def test_the_report_names_a_data_set_that_is_not_given_and_why(copy):
    overlays = copy.overlay("own.yaml", "run: {datasets: [phantom, lizard]}")
    assert {job.rule for job in copy.plan(overlays=overlays)} == {"make_report"}
    ended = copy.snakemake(overlays=overlays)
    assert ended.status == 0, ended.text
    page = (copy.folder / "results/report.html").read_text(encoding="utf-8")
    table, what, why = map(html.unescape, ROW.findall(page)[0])  # before what single tables lack
    assert (table, what) == ("every table", "lizard")
    assert why.startswith("datasets.lizard.path is not set; download lizard_images1.zip")
