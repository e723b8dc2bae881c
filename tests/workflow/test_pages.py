"""The pages of a run in a real browser."""

import json
import re
from urllib.parse import unquote

import pytest
import yaml

from cellscaper.disk.storage import read_layouts
from chromium import CHROMIUM, IMAGES, WIDER, Browser, assert_sound

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; apt-get install chromium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


# -- the report ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(finished, browser):
    file = finished.folder / "results/report.html"
    assert_sound(browser, file)
    return file


def test_the_report_loads_whole_and_needs_no_other_file(report, browser):
    assert len(browser.ask(IMAGES)) >= 10
    assert report.stat().st_size < 20e6


@pytest.mark.parametrize("width", [1280, 1440, 420])
def test_the_report_is_never_wider_than_its_window(report, browser, width):
    browser.resize(width, 900)
    assert browser.ask(WIDER) == 0
    browser.resize(1280, 900)


def test_each_table_has_a_caption_and_scoped_headers(report, browser):
    tables = browser.ask("""[...document.querySelectorAll('table')].map(t => [t.caption?.textContent ?? '',
        [...t.querySelectorAll('th')].every(th => th.scope), new Set([...t.tBodies[0].rows].map(
        r => [...r.cells].reduce((n, c) => n + c.colSpan, 0))).size])""")
    assert len(tables) >= 8
    assert all(caption and scoped and widths == 1 for caption, scoped, widths in tables), tables


def test_the_report_shows_every_number_of_the_tables_and_why_the_rest_is_missing(report, browser, finished):
    text = browser.ask("document.body.innerText")
    for name, n in (("tc_table1", 8), ("tc_table2", 2)):
        lines = (finished.folder / f"results/phantom/tables/{name}.md").read_text(encoding="utf-8").splitlines()
        rows = [line.split("|")[1:-1] for line in lines if line.startswith("| ")][1:]
        run = [row for row in rows if "not run" not in row[1]]
        assert len(run) >= n
        for row in run:
            assert row[0].strip() in text
            for cell in row[1:]:
                assert cell.split("(")[0].split("not run")[0].strip() in text
    assert "left out of this preset" in text
    assert "not among run.tables of this configuration" in text


def test_the_report_draws_the_rules_and_times_them(report, browser, jobs):
    rules = {job.rule for job in jobs}
    drawn = browser.ask("[...document.querySelectorAll('svg text')].map(t => t.firstChild.textContent)")
    assert set(drawn) == rules | {"all"}
    timed = browser.ask("""[...[...document.querySelectorAll('table')].find(
        t => t.caption.innerText.startsWith('Time and memory of each rule')).tBodies[0].rows].map(
        r => [r.cells[0].innerText, +r.cells[1].innerText])""")
    pages = {"make_report", "make_gallery"}
    assert {rule for rule, _ in timed} == rules - pages
    assert dict(timed) == {rule: sum(job.rule == rule for job in jobs) for rule in rules - pages}


def test_the_report_holds_environment_seeds_and_configuration(report, browser):
    text = browser.ask("document.body.textContent")
    assert "torch" in text and "Seeds of this configuration: 0." in text
    shown = yaml.safe_load(browser.ask("document.querySelector('#configuration ~ details pre').textContent"))
    assert shown["run"]["datasets"] == ["phantom"] and shown["datasets"]["phantom"]["seed"] == 29
    classes = browser.ask("[...document.querySelectorAll('.classes li')].map(li => li.innerText.trim())")
    assert classes == ["0 lymphocyte", "1 epithelial", "2 stromal"]


def test_the_report_prints(report, browser):
    printed = browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"]
    assert len(printed) > 100_000
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.call("Emulation.setEmulatedMedia", media="")


def test_nothing_in_the_report_comes_from_elsewhere(report):
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert "<script" not in text


SHOWN = "[...document.querySelectorAll('.origin')].filter(e => getComputedStyle(e).display != 'none').map(e => e.id)"


def test_each_number_leads_to_its_origin_and_the_origin_to_files_that_are_there(report, browser):
    browser.open(report)
    links = browser.ask("[...document.querySelectorAll('a.ours')].map(a => [a.innerText, a.getAttribute('href')])")
    assert len(links) > 100 and all(text and href.startswith("#row-phantom-") for text, href in links)
    values = browser.ask("""[...document.querySelectorAll('a.ours')].map(a => [
        +a.innerText.split(' ')[0].replace('−', '-'),
        +document.getElementById(a.getAttribute('href').slice(1)).lastElementChild.innerText.replace('−', '-')])""")
    assert all(abs(shown - of_the_seed) <= 0.06 * max(1, abs(shown)) for shown, of_the_seed in values)  # one seed
    files = browser.ask("[...document.querySelectorAll('.origin td a')].map(a => decodeURI(a.getAttribute('href')))")
    assert len(files) > 100
    assert [file for file in set(files) if not (report.parent / file).is_file()] == []
    facts = browser.ask("[...document.querySelectorAll('.origin dl')].map(d => d.innerText)")
    assert all("experiments." in one or "real images alone" in one for one in facts)


def test_an_origin_opens_and_closes_by_keyboard(report, browser):
    browser.open(report)
    assert browser.ask(SHOWN) == []
    browser.ask("document.querySelector('a.ours').focus()")
    browser.press("Enter", 13, "\r")
    (panel,) = browser.ask(SHOWN)
    assert browser.ask("document.querySelector(':target').closest('.origin').id") == panel
    browser.press("Tab", 9)
    assert browser.ask("document.activeElement.closest('.origin').id") == panel
    assert browser.ask(WIDER) == 0
    browser.ask("document.querySelector(':target').closest('.origin').querySelector('.head a').focus()")
    browser.press("Enter", 13, "\r")
    assert browser.ask(SHOWN) == []


def test_the_crate_beside_the_report_holds_every_file_that_the_report_links_to(report, browser):
    graph = json.loads((report.parent / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    parts = {unquote(one["@id"]) for entity in graph if entity["@id"] == "./" for one in entity["hasPart"]}
    browser.open(report)
    linked = browser.ask("[...document.querySelectorAll('.origin td a')].map(a => decodeURI(a.getAttribute('href')))")
    assert set(linked) <= parts
    assert [name for name in parts if not (report.parent / name).is_file()] == []


# -- the gallery ---------------------------------------------------------------------------------------------


@pytest.fixture
def gallery(finished, browser):
    file = finished.folder / "results/phantom/gallery.html"
    assert_sound(browser, file)
    return file


def shown(browser, selector):
    return browser.ask(f"document.querySelectorAll('{selector}').length")


def click(browser, selector):
    browser.ask(f"document.querySelector('{selector}').click()")


def choose(browser, selector, value):
    browser.ask(
        f"(e => {{e.value = '{value}'; e.dispatchEvent(new Event('change'))}})(document.querySelector('{selector}'))"
    )


def test_the_gallery_shows_layouts_of_the_same_counts_side_by_side(gallery, browser, finished):
    assert gallery.stat().st_size < 10e6
    titles = browser.ask("[...document.querySelectorAll('figcaption')].map(f => f.innerText)")
    assert titles[0] == "real" and {
        "ADM, category of the total as condition",
        "TopoCellGen",
        "random (ceiling)",
    } <= set(titles)
    counts = browser.ask(
        """[...document.querySelectorAll('.panels li')].map(
        l => [...l.querySelectorAll('.counts > span')].map(s => +s.innerText))"""
    )
    of = dict(zip(titles, counts, strict=True))
    assert of["random (ceiling)"] == of["real"]
    windows = read_layouts(finished.folder / "results/phantom/cut_patches/w256.h5").counts().tolist()
    assert of["real"] in windows
    drawn = browser.ask("[...document.querySelectorAll('.panels svg')].map(s => s.querySelectorAll('.cell').length)")
    assert drawn == [sum(one) for one in counts]
    assert browser.ask(WIDER) == 0


def test_classes_and_layers_of_the_gallery_can_be_switched(gallery, browser):
    of_class = [shown(browser, f'.cell[data-class="{k}"]') for k in range(3)]
    click(browser, "#class1")
    assert [shown(browser, f'.cell[data-class="{k}"]') for k in range(3)] == [of_class[0], 0, of_class[2]]
    click(browser, "#class1")
    assert shown(browser, ".hole") == 0
    choose(browser, "#holes", "3")
    assert shown(browser, ".hole") > 0
    click(browser, "#image")
    assert shown(browser, "image.photo") == 1  # the real window
    panels = shown(browser, ".panels svg")
    click(browser, "#near")
    assert shown(browser, ".panels svg") == 2 * panels
    assert browser.ask(WIDER) == 0
    groups = browser.ask("data.groups.length")
    click(browser, "#density")
    found = 0
    for group in range(groups):
        choose(browser, "#group", group)
        found = max(found, shown(browser, "image.density"))
    assert found >= 3  # a map a class of Spatial Diffusion
    click(browser, "#cells")
    assert shown(browser, ".pair svg:first-child .cell") == 0
    assert browser.complaints == []


def test_painted_pairs_show_their_images(gallery, browser):
    groups = browser.ask("data.groups.map(g => g.title)")
    painted = [i for i, title in enumerate(groups) if title.startswith("painted")]
    assert len(painted) == 6
    choose(browser, "#group", painted[0])
    click(browser, "#image")
    titles = browser.ask("[...document.querySelectorAll('figcaption')].map(f => f.innerText)")
    assert "+ SpaDM" in titles
    assert shown(browser, "image.photo") == len(titles)


def test_the_gallery_is_reachable_by_keyboard(gallery, browser):
    first = browser.ask("document.getElementById('status').innerText")
    browser.press("ArrowRight", 39)
    second = browser.ask("document.getElementById('status').innerText")
    assert "(1 of" in first and "(2 of" in second
    browser.press("ArrowLeft", 37)
    browser.press("ArrowLeft", 37)
    total = browser.ask("data.groups.length")
    assert f"({total} of {total})" in browser.ask("document.getElementById('status').innerText")
    reached = []
    for _ in range(14):
        browser.press("Tab", 9)
        reached.append(browser.ask("document.activeElement.id"))
    assert [one for one in reached if one][:11] == [
        "previous", "group", "next", "class0", "class1", "class2", "cells", "density", "image", "near", "holes",
    ]  # fmt: skip
    browser.ask("document.getElementById('class0').focus()")
    browser.press(" ", 32, " ")
    assert browser.ask("document.getElementById('class0').checked") is False
    assert shown(browser, '.cell[data-class="0"]') == 0
