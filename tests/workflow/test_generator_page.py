"""docs/page.html, a generator of layouts in one file, in a real browser."""

import itertools
import json
import shlex
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cellscaper import cli
from cellscaper.disk import export
from cellscaper.disk.weights import write_weights
from cellscaper.generators.pointsets import constraints
from cellscaper.generators.pointsets.generate import SAMPLING, generate
from cellscaper.generators.pointsets.network import PointDenoiser
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.generators.pointsets.request import Request
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.cross_class import nearest_neighbours, own_distances
from cellscaper.metrics.ripley import k_rings, l_functions
from cellscaper.page import assemble
from cellscaper.page.weights import packed, unpacked
from cellscaper.run.seeds import sample_seeds
from chromium import CHROMIUM, IDLE, WIDER, Browser, assert_sound

PAGE = Path(__file__).resolve().parents[2] / "docs/page.html"
CLASSES = ("lymphocyte", "epithelial", "stromal")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; apt-get install chromium")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The page with its first layout drawn. From then on it shows no cells in the making, which saves time."""
    browser = Browser(tmp_path_factory.mktemp("browser"))
    try:
        assert_sound(browser, PAGE)
        browser.ask("work.ready")
        browser.ask(IDLE)
        browser.ask("window.first = {cells: page.cells.map(one => ({...one})), drawn: page.drawn}")
        motion(browser, "reduce")
        yield browser
    finally:
        browser.close()


def motion(browser, wish):
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": wish}])


AS_AT_FIRST = """(() => {
    const cells = first.cells.map(one => ({...one}));
    Object.assign(page, {cells, size: [256, 256], drawn: first.drawn, lasso: null, preview: null, past: []});
    Object.assign(tools, {held: -1, cross: [128, 128], keyboard: false, drawing: false});
    $("request").reset();
    $("look").value = "dots";
    $("added").value = 0;
    document.querySelector("input[value=move]").checked = true;
    say("");
    complain("");
    changed();
})()"""


@pytest.fixture
def page(opened):
    """The page as it is after its first layout. It is opened once, because opening and drawing take seconds."""
    opened.ask(AS_AT_FIRST)
    yield opened
    assert opened.complaints == []
    assert opened.requests == [PAGE.as_uri()]


def fill(browser, **fields):
    for name, value in fields.items():
        browser.ask(f"document.getElementById('{name}').value = {json.dumps(str(value))}")


def click(browser, name):
    browser.ask(f"document.getElementById('{name}').click()")
    browser.ask(IDLE)


def choose(browser, tool):
    browser.ask(f"document.querySelector('input[value={tool}]').click()")


def cells(browser):
    """(N, 2) float32 positions, (N,) labels and whether each is kept."""
    found = browser.ask("page.cells.map(({y, x, label, kept}) => [y, x, label, kept])")
    points = np.array([one[:2] for one in found], np.float32).reshape(-1, 2)
    return points, np.array([one[2] for one in found], int), np.array([one[3] for one in found], bool)


def counts(labels):
    return np.bincount(labels, minlength=3).tolist()


def draw(browser, wanted, seed=0, size=(256, 256), distance=4):
    fields = {f"count{label}": n for label, n in enumerate(wanted)}
    fill(browser, **fields, seed=seed, height=size[0], width=size[1], distance=distance)
    click(browser, "draw")
    return cells(browser)


def problem(browser):
    return browser.ask("document.getElementById('problem').hidden ? '' : document.getElementById('problem').innerText")


def on_screen(browser, y, x):
    """A place of the layout, px of the window."""
    browser.ask("document.getElementById('picture').scrollIntoView({block: 'center'})")
    return browser.ask(
        f"""(box => [box.left + 1 + {x} * (box.width - 2) / page.size[1], box.top + 1 + {y} * (box.width - 2)
        / page.size[1]])(document.getElementById('picture').getBoundingClientRect())"""
    )


# -- the page itself -----------------------------------------------------------------------------------------


def test_it_draws_at_once(page):
    _, labels, _ = cells(page)
    assert counts(labels) == page.ask("model.counts")
    assert page.ask("document.getElementById('summary').innerText").startswith(f"{len(labels)} cells: ")
    image = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((one, i) => i % 4 === 3 && one)"
    assert page.ask(f"(c => {image}.length)(document.getElementById('picture'))") > 1000


@pytest.mark.parametrize("width", [1280, 760, 390, 320])
def test_the_page_is_never_wider_than_its_window(page, width):
    page.resize(width, 900)
    page.ask("new Promise(ready => setTimeout(ready, 50))")
    assert page.ask(WIDER) == 0
    assert page.ask("document.getElementById('picture').getBoundingClientRect().right") <= width
    page.resize(1280, 900)


def test_schematic_nuclei_are_another_look_of_the_same_cells(page):
    before = cells(page)
    dots = page.ask("document.getElementById('picture').toDataURL()")
    page.ask("(e => {e.value = 'nuclei'; e.dispatchEvent(new Event('change'))})(document.getElementById('look'))")
    assert page.ask("document.getElementById('picture').toDataURL()") != dots
    assert all(np.array_equal(a, b) for a, b in zip(before, cells(page), strict=True))


def test_progress_is_shown_while_the_page_stays_alive(page):
    page.ask("""window.seen = new Set(); window.longest = 0; let last = performance.now();
        window.looking = setInterval(() => { seen.add(document.getElementById('progress').value);
        longest = Math.max(longest, performance.now() - last); last = performance.now(); }, 10); 0""")
    began = page.ask("performance.now()")
    motion(page, "no-preference")
    page.ask("window.frames = 0; const plain = draw; draw = () => { frames += Boolean(page.preview); plain(); }; 0")
    draw(page, (8, 40, 12), seed=3)
    motion(page, "reduce")
    took = page.ask("performance.now()") - began
    assert page.ask("clearInterval(looking) || seen.size") >= 8
    assert page.ask("frames") >= 8
    assert page.ask("longest") < took / 2
    assert page.ask("document.getElementById('progress').hidden")
    assert page.ask("document.getElementById('draw').getAttribute('aria-disabled')") == "false"


def test_stop_leaves_the_layout_as_it_was(page):
    before = cells(page)
    fill(page, count1=150, seed=1)
    for stop in ("document.getElementById('cancel').click()", None):
        page.ask("document.getElementById('draw').click()")
        assert page.ask("busy()")
        page.ask(stop) if stop else page.press("Escape", 27)
        page.ask(IDLE)
        assert all(np.array_equal(a, b) for a, b in zip(before, cells(page), strict=True))
        assert "Stopped" in page.ask("document.getElementById('status').innerText")
    assert counts(draw(page, (3, 4, 5))[1]) == [3, 4, 5]


def test_stop_hands_the_focus_to_draw(page):
    page.ask("document.getElementById('draw').click()")
    page.ask("document.getElementById('cancel').focus()")
    click(page, "cancel")
    assert page.ask("document.activeElement.id") == "draw"


# -- the same layouts as the command line --------------------------------------------------------------------

REQUESTS = [
    ((12, 60, 20), (256, 256), 4), ((30, 30, 10), (256, 256), 9), ((5, 110, 12), (256, 256), 4),
    ((1, 2, 0), (256, 256), 4), ((2, 9, 4), (100, 140), 6),
]  # fmt: skip


def same_layout(page, folder, request, seed):
    """The page and the command line draw the same request: cells lie at most 0.1 px elsewhere."""
    counted, size, distance = request
    asked = ",".join(f"{name}={n}" for name, n in zip(CLASSES, counted, strict=True))
    file = folder / f"{seed}.h5"
    words = ["--size", f"{size[0]},{size[1]}", "--min-distance", str(distance), "--seed", str(seed)]
    cli.call(["generate", "--counts", asked, *words, "--threads", "1", "-o", str(file)])
    theirs = export.read(file)
    points, labels, _ = draw(page, counted, seed, size, distance)
    assert labels.tolist() == theirs.labels.tolist()
    assert page.ask("page.drawn.layoutSeed") == str(theirs.columns["seed"][0])
    assert np.abs(points - theirs.points).max() <= 0.1
    assert f"--seed {seed} " in page.ask("document.getElementById('command').innerText")


def test_a_layout_is_that_of_the_command_line(page, tmp_path):
    same_layout(page, tmp_path, REQUESTS[0], 0)


@pytest.mark.parametrize("wanted", REQUESTS[3:])
def test_small_layouts_are_those_of_the_command_line(page, tmp_path, wanted):
    same_layout(page, tmp_path, wanted, 10**12 + 3)


@pytest.mark.long
@pytest.mark.parametrize("wanted", REQUESTS)
@pytest.mark.parametrize("seed", [1, 2, 77, 10**18 - 1])
def test_twenty_layouts_are_those_of_the_command_line(page, tmp_path, wanted, seed):
    same_layout(page, tmp_path, wanted, seed)


@pytest.fixture(scope="module")
def network():
    """The network with the weights that the page computes with."""
    found, _ = load_packaged()
    weights = unpacked(*packed(found.state_dict()))
    found.load_state_dict({name: torch.from_numpy(one) for name, one in weights.items()})
    return found


def a_ring():
    rows, columns = np.mgrid[:256, :256]
    return (np.hypot(rows - 128, columns - 120) < 85) & (np.hypot(rows - 120, columns - 140) > 30)


GIVEN = np.array([[20, 30], [200.5, 17.25], [128, 130], [128, 136.5], [250, 250], [64, 199]], np.float32)
HARD = {
    "six windows": (dict(counts=(20, 90, 30), size=(300, 400)), np.zeros((0, 2), np.float32)),
    "two windows": (dict(counts=(3, 12, 5), size=(256, 300)), np.zeros((0, 2), np.float32)),
    "small, given": (dict(counts=(1, 3, 1), size=(130, 90)), GIVEN[:1]),
    "given": (dict(counts=(4, 12, 4), size=(256, 256)), GIVEN),
    "ring": (dict(counts=(3, 9, 3), size=(256, 256), mask=a_ring()), np.zeros((0, 2), np.float32)),
    "ring, given": (dict(counts=(4, 10, 4), size=(256, 256), mask=a_ring()), GIVEN),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.long) if n == "six windows" else n for n in HARD])
def test_the_program_of_the_page_agrees_with_the_package(page, network, name):
    """Windows, masks and given cells: the same as Python with the same weights, but for rounding."""
    what, fixed = HARD[name]
    request = Request(
        np.array(what["counts"]), what["size"], 4.0, what.get("mask"), fixed,
        np.arange(len(fixed), dtype=np.uint8) % 3,
    )  # fmt: skip
    (wanted,) = generate(network, request, sample_seeds(9, 1, 0), SAMPLING, torch.device("cpu"))
    asked = {
        "counts": what["counts"], "size": what["size"], "distance": request.min_distance, "seed": "9", "mask": None,
        "fixed": fixed.ravel().tolist(), "fixedLabels": request.fixed_labels.tolist(),
    }  # fmt: skip
    mask = f"Uint8Array.from({json.dumps(what['mask'].astype(int).ravel().tolist())})" if "mask" in what else "null"
    found = page.ask(
        f"(r => ask('draw', {{...r, mask: {mask}, fixed: Float32Array.from(r.fixed)}}).then("
        f"f => [[...f.points], [...f.labels]]))({json.dumps(asked)})"
    )
    assert found[1] == wanted.labels.tolist()
    assert np.abs(np.array(found[0]).reshape(-1, 2) - wanted.points).max() < 0.005


def run_in_worker(browser, expression):
    """The value of an expression among the functions of the worker."""
    folder = Path(assemble.__file__).parent / "worker"
    source = "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in assemble.WORKER[:-1])
    return browser.ask(f"(() => {{ {source}\n return {expression}; }})()")


@pytest.mark.parametrize("masked", [False, True])
def test_cells_are_pushed_apart_as_in_the_package(page, masked):
    """Few rounds: later ones hang on rounding, because cells then lie exactly at the distance."""
    rng = np.random.default_rng(3)
    points, fixed = rng.uniform(0, 256, (150, 2)), rng.uniform(0, 256, (12, 2))
    points[7] = points[8]
    area = constraints.Area((256, 256), a_ring(), 0.5) if masked else constraints.Area((256, 256))
    inside = area.nearest(points.copy())
    mask = f"Uint8Array.from({json.dumps(a_ring().astype(int).ravel().tolist())}), 0.5" if masked else "null, 0"
    start = f"Float64Array.from({json.dumps(inside.ravel().tolist())})"
    given = f"Float64Array.from({json.dumps(fixed.ravel().tolist())})"
    for rounds in (1, 4):
        wanted = constraints.push(inside, fixed, 14.0, area, rounds)
        found = run_in_worker(page, f"[...push({start}, {given}, 14, new Area([256, 256], {mask}), {rounds})]")
        assert np.abs(np.array(found).reshape(-1, 2) - wanted).max() < 1e-9
    placed = run_in_worker(page, f"[...separate({start}, new Float64Array(0), 8, new Area([256, 256], {mask}))]")
    placed = np.array(placed, np.float32).reshape(-1, 2)
    assert not len(constraints.too_close(placed, 8.0)) and area.holds(placed).all()


@pytest.mark.parametrize("distance", [2.0, 7.5, 31.0])
def test_the_bound_on_cells_is_the_packages(page, distance):
    mask = f"Uint8Array.from({json.dumps(a_ring().astype(int).ravel().tolist())})"
    for given in (GIVEN[:0], GIVEN):
        for own, theirs in (("null, 0", None), (f"{mask}, 0.5", a_ring())):
            area = constraints.Area((256, 256), theirs, 0.5 if theirs is not None else 0.0)
            fixed = f"Float32Array.from({json.dumps(given.ravel().tolist())})"
            found = run_in_worker(page, f"mostCells(new Area([256, 256], {own}), {distance}, {fixed})")
            assert found == constraints.most(area, distance, given)


def test_random_numbers_are_torchs(page):
    for n in (1, 3, 7, 8, 9, 92, 203):
        generator = torch.Generator().manual_seed(977 * n)
        kinds = (torch.rand, torch.randn, torch.randn)
        wanted = [kind(n, 2, generator=generator, dtype=torch.float64).numpy().ravel() for kind in kinds]
        found = run_in_worker(page, f"(t => [t.uniforms({n}), t.normals({n}), t.normals({n})].map(a => [...a]))"
                                    f"(new Twister({977 * n}n))")  # fmt: skip
        assert np.abs(np.array(found) - wanted).max() < 1e-14
    for seed in (0, 1, 2**32 - 1, 2**32, 2**40 + 5, 10**18 - 1):
        assert run_in_worker(page, f"String(layoutSeed({seed}n))") == str(sample_seeds(seed, 1, 0)[0])


# -- editing -------------------------------------------------------------------------------------------------


def test_moved_added_and_kept_cells_stay_while_the_model_moves_the_rest(page):
    points, labels, _ = draw(page, (5, 18, 7), seed=4)
    y, x = points[7].tolist()
    page.mouse(on_screen(page, y, x), on_screen(page, y + 3, x + 5), on_screen(page, 140, 133))
    moved, _, kept = cells(page)
    assert kept.tolist() == [i == 7 for i in range(30)]
    assert np.abs(moved[7] - [140, 133]).max() < 0.6
    choose(page, "add")
    fill(page, added=2)
    page.mouse(on_screen(page, 30, 60))
    choose(page, "keep")
    page.mouse(on_screen(page, *moved[20].tolist()))
    choose(page, "delete")
    page.mouse(on_screen(page, *moved[25].tolist()))
    before, edited, kept = cells(page)
    wanted = np.bincount(np.append(np.delete(labels, 25), 2), minlength=3)
    assert counts(edited) == wanted.tolist() and kept.sum() == 3
    click(page, "rearrange")
    after, arranged, still = cells(page)
    assert problem(page) == "" and counts(arranged) == wanted.tolist()
    assert np.array_equal(after[still], before[kept]) and still.sum() == 3
    assert np.abs(after[~still][:, None] - before[~kept]).max(axis=2).min(axis=1).max() > 1
    click(page, "rearrange")  # the same request again: the next seed, or nothing would move
    again, _, _ = cells(page)
    assert page.ask("document.getElementById('seed').value") == "5"
    assert np.array_equal(again[still], after[still]) and not np.array_equal(again, after)
    for _ in range(6):
        click(page, "undo")
    assert np.array_equal(cells(page)[0], points)


def test_what_a_key_has_begun_ends_before_anything_else(page):
    """A cell is taken or a lasso is begun by keys, and then a button, the mouse or another tool is used."""
    points, _, _ = cells(page)
    for then in ("undo", "release", "draw", "tool", "mouse"):
        for tool, keys in (("move", ("n", "Enter", "ArrowDown")), ("lasso", ("Enter", "ArrowDown", "Enter"))):
            page.ask(AS_AT_FIRST)
            choose(page, tool)
            page.ask("document.getElementById('picture').focus()")
            for key in keys:
                page.press(key)
            assert page.ask("tools.held >= 0 || tools.drawing")
            if then == "tool":
                choose(page, "keep")
            elif then == "mouse":
                choose(page, "delete")
                page.mouse(on_screen(page, *points[20].tolist()))
            else:
                fill(page, count0=1, count1=0, count2=0)
                click(page, then)
            assert not page.ask("tools.held >= 0 || tools.drawing") and page.ask("page.lasso") is None
            page.call("Input.dispatchMouseEvent", type="mouseMoved", x=500, y=300)
            page.press("Enter")
    page.ask(AS_AT_FIRST)
    page.ask("document.getElementById('picture').focus()")
    for key in ("n", "Enter", "ArrowDown"):
        page.press(key)
    page.ask("$('picture').dispatchEvent(new KeyboardEvent('keydown', {key: 'z', ctrlKey: true}))")
    assert np.array_equal(cells(page)[0], points)


def test_the_lasso_is_redrawn_and_nothing_else(page):
    points, _, _ = draw(page, (5, 25, 10), seed=5)
    choose(page, "lasso")
    page.mouse(*(on_screen(page, *corner) for corner in ((60, 60), (60, 190), (190, 200), (180, 70))))
    inner = [int(page.ask(f"document.getElementById('inner{label}').value")) for label in range(3)]
    assert sum(inner) > 5
    fill(page, inner0=inner[0] + 3)
    click(page, "inpaint")
    assert problem(page) == ""
    after, labels, _ = cells(page)
    assert counts(labels) == [8, 25, 10]
    same = (after[:, None] == points).all(axis=2).any(axis=1)
    assert same.sum() == 40 - sum(inner)
    assert (after[~same] > 55).all() and (after[~same] < 205).all()
    apart = np.linalg.norm(after[:, None].astype(float) - after, axis=2)[~np.eye(len(after), dtype=bool)]
    assert apart.min() >= 4


def test_everything_can_be_done_by_keys(page):
    points, _, _ = draw(page, (2, 6, 3), seed=6)
    page.ask("document.getElementById('picture').focus()")
    said = "document.getElementById('status').innerText"
    page.press("n")
    assert page.ask(said).startswith("Cell 1 of 11: lymphocyte at y")
    page.press("Enter", 13)
    for _ in range(3):
        page.press("ArrowDown", 40)
    page.press("Enter", 13)
    moved, _, kept = cells(page)
    assert kept.tolist() == [True] + 10 * [False]
    assert moved[0, 0] == pytest.approx(min(points[0, 0] + 24, 256 - 1 / 64), abs=1e-3)
    choose(page, "delete")
    page.ask("document.getElementById('picture').focus()")
    page.press("Enter", 13)
    assert len(cells(page)[0]) == 10
    choose(page, "add")
    page.ask("document.getElementById('picture').focus()")
    page.press("Enter", 13)
    assert len(cells(page)[0]) == 11
    choose(page, "lasso")
    page.ask("document.getElementById('picture').focus()")
    for key in ("ArrowUp", "ArrowLeft", "ArrowDown"):
        page.press("Enter", 13)
        for _ in range(4):
            page.press(key)
    page.press("Enter", 13)
    page.press("c")
    assert page.ask("page.lasso.length >= 3 && !document.getElementById('within').hidden")
    page.press("Escape", 27)
    assert page.ask("page.lasso") is None


def test_the_cross_stays_in_a_small_region(page):
    draw(page, (0, 1, 0), size=(64, 48))
    choose(page, "add")
    page.ask("document.getElementById('picture').focus()")
    page.press("ArrowUp")
    assert page.ask("tools.cross")[0] == pytest.approx(64 - 1 / 64 - 8)
    page.press("n")
    page.press("Enter")
    assert len(cells(page)[0]) == 2


@pytest.mark.parametrize(("width", "height"), [(1280, 600), (390, 700)])
def test_what_has_the_focus_is_not_under_the_bar(page, width, height):
    page.resize(width, height)
    page.ask("page.lasso = [[10, 10], [10, 99], [99, 99]]; changed(); complain('A long complaint. '.repeat(6))")
    page.ask("scrollTo(0, 0); document.getElementById('count0').focus()")
    seen = []
    while seen[-1:] != ["body"] and len(seen) < 60:
        page.press("Tab", 9)
        name, bottom, bar = page.ask(
            """(e => [e.id || e.tagName.toLowerCase(), e.getBoundingClientRect().bottom,
            $('now').getBoundingClientRect().top])(document.activeElement)"""
        )
        seen.append(name)
        assert name in ("body", "picture") or bottom <= bar, name
    assert {"seed", "picture", "clear", "png", "body"} <= set(seen)
    page.resize(1280, 900)


# -- statistics and files ------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_package(page):
    points, labels, _ = draw(page, (6, 24, 10), seed=7)
    layout = "{points: pointsOf(page.cells), labels: page.cells.map(c => c.label), size: page.size}"
    found = page.ask(f"ask('statistics', {layout})")
    layout = LayoutSet.build([Layout(points, labels.astype(np.uint8), (256, 256))], CLASSES, 0.5)
    radii, steps = np.array(page.ask("model.curves.radii")), np.array(page.ask("model.curves.steps"))
    wanted = l_functions(k_rings(layout, 90), radii) - radii
    for i, j in itertools.combinations_with_replacement(range(3), 2):
        assert np.allclose(found["pairs"][f"{CLASSES[i]}-{CLASSES[j]}"], wanted[i, j], atol=1e-4)
    for label, name in enumerate(CLASSES):
        shares = (own_distances(layout, label)[:, None] <= steps).mean(axis=0)
        assert np.allclose(found["nearest"][name], shares, atol=1e-9)
    shares = (nearest_neighbours(layout)[0][:, None] <= steps).mean(axis=0)
    assert np.allclose(found["nearest"]["any"], shares, atol=1e-9)
    page.ask("new Promise(ready => setTimeout(ready, 300))")
    assert page.ask("document.querySelectorAll('#pairs figure').length") == 6
    assert page.ask("document.querySelectorAll('#neighbours .own').length") == 4
    assert "real windows" in page.ask("document.querySelector('#pairs svg').getAttribute('aria-label')")


def test_files_hold_the_layout(page, tmp_path):
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    points, labels, _ = draw(page, (2, 6, 3), seed=8, size=(256, 300))
    for name in ("geojson", "csv", "png"):
        click(page, name)
        page.ask("new Promise(ready => setTimeout(ready, 50))")
        wait_for(page, tmp_path / f"layout.{name}")
    for name in ("geojson", "csv"):
        read = export.read(tmp_path / f"layout.{name}")
        assert np.array_equal(read.points, points) and read.labels.tolist() == labels.tolist()
        assert read.classes == CLASSES and read.mpp == 0.5 and read.common_size() == (256, 300)
        assert read.columns["requested"].tolist() == [[2, 6, 3]] and read.columns["min_distance"].tolist() == [4.0]
        assert read.columns["seed"].tolist() == sample_seeds(8, 1, 0)
    with Image.open(tmp_path / "layout.png") as image:
        assert image.size == (900, 768)
        seen = {shade for _, shade in image.convert("RGB").getcolors(1 << 20)}
    assert {(0, 114, 178), (213, 94, 0), (0, 158, 115), (255, 255, 255)} <= seen


def test_given_cells_are_first_in_files(page):
    draw(page, (2, 3, 1), seed=8)
    page.ask("page.cells[4].kept = true; changed()")
    assert page.ask("JSON.parse(geojson()).cellscaper.layouts[0].columns.given.int64") == 0  # a layout of the seed
    y, x = page.ask("[page.cells[0].y, page.cells[0].x]")
    choose(page, "delete")
    page.mouse(on_screen(page, y, x))
    assert page.ask("page.cells[3].kept && page.cells.length") == 5
    assert page.ask("JSON.parse(geojson()).cellscaper.layouts[0].columns.given.int64") == 1
    kept = page.ask("[page.cells[3].x, page.cells[3].y]")
    assert page.ask("JSON.parse(geojson()).features[0].geometry.coordinates") == pytest.approx(kept, abs=1e-4)
    assert page.ask("csv().split('\\n')[1]").startswith(f"0,{kept[1]:.4f}"[:6])


def wait_for(browser, file):
    for _ in range(200):
        if file.is_file() and file.stat().st_size:
            return
        browser.ask("new Promise(ready => setTimeout(ready, 50))")
    raise AssertionError(f"{file} was not saved")


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(count1=9000), "9030 cells at least 4 px apart do not fit into 65536 px²: at most"),
        (dict(count1=3000, distance=0), "3030 cells are more than this page can place"),
        (dict(count0=-1), "lymphocyte: “-1” is no count"),
        (dict(count0=1.5), "lymphocyte: “1.5” is no count"),
        (dict(count0=0, count1=0, count2=0), "no cells are asked for"),
        (dict(height=3), "size 3 × 256 px: expected whole numbers from 16 to 1024"),
        (dict(width=10**9), "size 256 × 1000000000 px"),
        (dict(height=""), "size (no number) × 256 px"),
        (dict(distance=""), "minimum distance (no number) px"),
        (dict(distance=-2), "minimum distance -2 px: expected 0 to"),
        (dict(seed="-3"), "seed “-3”: expected a whole number from 0"),
        (dict(seed=10**18), "seed “1000000000000000000”: expected a whole number from 0, of at most 18 digits"),
        (dict(seed="new"), "seed “new”: expected a whole number"),
    ],
)
def test_impossible_requests_are_one_line_and_change_nothing(page, fields, words):
    before = cells(page)
    fill(page, **fields)
    click(page, "draw")
    assert words in problem(page) and "\n" not in problem(page)
    assert page.ask("document.getElementById('status').innerText") == ""
    assert all(np.array_equal(a, b) for a, b in zip(before, cells(page), strict=True))


def test_a_complaint_ends_with_the_next_deed(page):
    page.ask("page.cells.forEach(one => (one.kept = true))")
    click(page, "rearrange")
    assert problem(page).startswith("all cells are kept")
    click(page, "release")
    assert problem(page) == ""
    page.ask("complain('one more')")
    click(page, "undo")
    assert problem(page) == ""


def test_counts_that_the_model_has_not_seen_are_said(page):
    draw(page, (0, 9, 0), size=(48, 48), distance=0)
    said = page.ask("document.getElementById('status').innerText")
    assert said == (
        "9 cells drawn. The model has seen no such counts in 256 × 256 px: epithelial 256 (trained on 0 to 142), "
        "all 256 (trained on 1 to 250)."
    )
    draw(page, (0, 5, 0))
    assert page.ask("document.getElementById('status').innerText") == "5 cells drawn."


def test_kept_cells_that_are_too_close_are_named(page):
    draw(page, (0, 2, 1))
    choose(page, "add")
    page.mouse(on_screen(page, 100, 100))
    page.mouse(on_screen(page, 100, 102))
    click(page, "rearrange")
    assert "px apart, closer than the minimum distance of 4 px" in problem(page)
    choose(page, "delete")
    page.mouse(on_screen(page, 100, 102))
    click(page, "rearrange")
    assert problem(page) == ""


# -- another model -------------------------------------------------------------------------------------------


@contextmanager
def page_of_a_model(folder, classes, region, mpp):
    """A browser with the page of a small untrained model, its first layout drawn."""
    network = {"width": 16, "layers": 1, "heads": 2, "neighbours": 4, "edge_width": 8, "expansion": 2}
    section = {"method": "point_diffusion", "region": region, "settings": {"network": network}}
    torch.manual_seed(0)
    state = PointDenoiser(len(classes), region, **network).state_dict()
    write_weights(folder / "own.safetensors", state, {}, classes=classes, mpp=mpp, section=section)
    cli.call(["page", str(folder / "own.safetensors"), "-o", str(folder / "own.html")])
    browser = Browser(folder / "browser")
    try:
        assert_sound(browser, folder / "own.html")
        browser.ask("work.ready")
        browser.ask(IDLE)
        yield browser
    finally:
        browser.close()


def test_a_page_of_another_model_begins_with_its_region_and_names_its_classes(tmp_path):
    classes = ["Paget's", "T-cell", "a,b", "</script><img src=x onerror=alert(1)>"]
    with page_of_a_model(tmp_path, classes, region=64, mpp=0.5) as browser:
        assert browser.ask("page.size") == [64, 64]
        assert browser.ask("document.getElementById('same').hidden")  # no option can name “a,b”
        draw(browser, (3, 4, 0, 0), size=(64, 64))
        words = shlex.split(browser.ask("document.getElementById('command').textContent"))
        assert words[words.index("--counts") + 1] == "Paget's=3,T-cell=4"
        browser.ask("new Promise(ready => setTimeout(ready, 300))")
        titles = browser.ask("[...document.querySelectorAll('#pairs figcaption')].map(one => one.textContent)")
        assert titles[1] == "Paget's – T-cell" and titles[4] == "T-cell – T-cell" and len(titles) == 10
        said = browser.ask("document.querySelector('#pairs svg').getAttribute('aria-label')")
        assert said == "Paget's – Paget's: at 33 px this layout is too small"
        browser.ask("tools.cross = [900, 900]")
        choose(browser, "lasso")
        browser.ask("document.getElementById('picture').focus()")
        browser.press("Enter", 13)
        assert max(browser.ask("page.lasso[0]")) < 64
        assert browser.complaints == []


def test_a_model_of_another_window_scale_and_names(tmp_path):
    """The page opens with the model's window, which its counts belong to; classes may have hyphens."""
    with page_of_a_model(tmp_path, ["non-tumour", "tumour"], region=128, mpp=0.25) as browser:
        assert browser.ask("page.size") == [128, 128] and "--size 128,128" in browser.ask("command()")
        browser.ask("measure()")
        names = browser.ask("[...document.querySelectorAll('#pairs figcaption')].map(one => one.textContent)")
        assert names == ["non-tumour – non-tumour", "non-tumour – tumour", "tumour – tumour"]
        browser.ask("""window.axes = []; CanvasRenderingContext2D.prototype.ellipse = (x, y, ...two) =>
            axes.push(two.slice(0, 2)); 0""")
        browser.ask("paint(document.createElement('canvas').getContext('2d'), page.cells.slice(0, 1), 1, 'nuclei')")
        assert browser.ask("axes") == [[16, 13]]
