// Statistics of the layout beside those of real tissue, as small charts.

const CHART = { width: 260, height: 160, left: 34, right: 11, top: 11, bottom: 38 };

async function measure() {
  const { cells, size } = page, layout = { points: pointsOf(cells), labels: cells.map(one => one.label), size };
  const found = await ask("statistics", layout);
  if (cells !== page.cells || busy()) return;
  const { radii, steps, real } = model.curves, limit = Math.min(...size) / 2;
  $("pairs").replaceChildren();
  model.classes.forEach((one, i) => model.classes.slice(i).forEach(two => {
    const name = `${one}-${two}`, missing = "this layout has no such pair";
    chart($("pairs"), `${one} – ${two}`, radii, found.pairs[name], real?.pairs[name], null, "px", missing, limit);
  }));
  $("neighbours").replaceChildren();
  for (const [name, own] of Object.entries(found.nearest)) {
    chart($("neighbours"), name, steps, own, real?.nearest[name], [0, 1], "", "fewer than two cells", Infinity);
  }
}

// One chart: own curve (numbers or null at each r), real {low, middle, high} if there is one.
function chart(parent, title, r, own, real, range, unit, missing, limit) {
  const figure = make("figure", {}, parent);
  make("figcaption", { text: title }, figure);
  const shown = [...(own ?? []).filter((y, i) => y !== null && r[i] <= limit), ...(real ? [...real.low, ...real.high] : [])];
  const [low, high] = range ?? [Math.min(-4, ...shown), Math.max(4, ...shown)];
  const { width, height, left, right, top, bottom } = CHART;
  const across = x => left + (x / r.at(-1)) * (width - left - right);
  const down = y => top + ((high - Math.min(Math.max(y, low), high)) / (high - low)) * (height - top - bottom);
  const point = (y, i) => (y === null ? [] : [`${across(r[i]).toFixed(1)},${down(y).toFixed(1)}`]);
  const line = ys => ys.flatMap(point).join(" ");
  const label = `${title}: ${words(r, own, real, unit, missing)}`;
  const svg = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, figure);
  if (real) {
    const band = `${line(real.low)} ${line(real.high).split(" ").reverse().join(" ")}`;
    make("svg:polygon", { points: band, class: "band" }, svg);
    make("svg:polyline", { points: line(real.middle), class: "middle" }, svg);
  }
  for (const y of range ? [0, 0.5, 1] : ticks(low, high)) {
    make("svg:line", { x1: left, x2: width - right, y1: down(y), y2: down(y), class: "axis" }, svg);
    make("svg:text", { x: left - 5, y: down(y) + 3, "text-anchor": "end", text: y }, svg);
  }
  for (const x of ticks(0, r.at(-1))) make("svg:text", { x: across(x), y: height - 20, "text-anchor": "middle", text: x }, svg);
  make("svg:text", { x: width - right, y: height - 4, "text-anchor": "end", text: "r, px" }, svg);
  if (own) make("svg:polyline", { points: line(own), class: "own" }, svg);
  else make("svg:text", { x: left + 8, y: top + 12, text: missing }, svg);
}

// The chart in words, at the middle radius.
function words(r, own, real, unit, missing) {
  const at = Math.floor(r.length / 3), said = y => `${y.toFixed(2)} ${unit}`.trim();
  const mine = own?.[at] === null ? "this layout is too small" : own ? `this layout ${said(own[at])}` : missing;
  return `at ${r[at]} px ${mine}${real && at < real.low.length ? `, real windows ${said(real.low[at])} to ${said(real.high[at])}` : ""}`;
}

// Round numbers from low to high.
function ticks(low, high) {
  const rough = (high - low) / 5, ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(one => one * ten).find(one => one >= rough), found = [];
  for (let y = Math.ceil(low / step) * step; y <= high + 1e-9; y += step) found.push(+y.toFixed(6));
  return found;
}
