// Files of the layout, as `cellscaper generate` writes them: `cellscaper convert` and QuPath read them.

// The shortest decimal that gives the same float32, with a point.
function decimal(value) {
  for (let digits = 1; digits <= 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(text) !== value) continue;
    return /[.e]/.test(String(+text)) ? String(+text) : `${+text}.0`;
  }
  return String(value);
}

// Cells in the order of files: given ones first (column `given`). In a layout of a seed none are, though some may be kept.
function saved() {
  const given = page.drawn ? [] : page.cells.filter(one => one.kept);
  return { given: given.length, cells: page.drawn ? page.cells : [...given, ...page.cells.filter(one => !one.kept)] };
}

// JSON of what belongs to the layout. A seed has up to 19 digits, which is why it is text until here.
function facts() {
  const columns = { given: { int64: saved().given } };
  if (page.drawn) {
    columns.requested = { int64: page.drawn.counts };
    columns.min_distance = { float64: page.drawn.distance };
    columns.seed = { int64: `seed ${page.drawn.layoutSeed}` };
  }
  const text = JSON.stringify({ size: page.size, source: "", origin: [0, 0], columns });
  return text.replace(/"seed (\d+)"/, "$1");
}

const head = () => JSON.stringify({ version: 1, classes: model.classes, mpp: model.mpp });

function geojson() {
  const features = saved().cells.map(({ y, x, label }) => {
    const looks = JSON.stringify({ name: model.classes[label], color: model.rgb[label] });
    return (
      `{"type": "Feature", "geometry": {"type": "Point", "coordinates": [${decimal(x)}, ${decimal(y)}]}, ` +
      `"properties": {"objectType": "detection", "classification": ${looks}, "layout": 0}}`
    );
  });
  const own = `${head().slice(0, -1)},"layouts":[${facts()}]}`;
  return `{"type": "FeatureCollection", "features": [\n${features.join(",\n")}\n], "cellscaper": ${own}}\n`;
}

function csv() {
  const quoted = text => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const own = quoted(`${facts().slice(0, -1)},"file":${head()}}`);
  const rows = saved().cells.map(
    ({ y, x, label }, i) => `0,${decimal(y)},${decimal(x)},${quoted(model.classes[label])},${i ? "" : own}`,
  );
  return `${["layout,y,x,class,cellscaper", ...(rows.length ? rows : [`0,,,,${own}`])].join("\n")}\n`;
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  say(`${name} saved.`);
}

// The command line that gives the layout on the page. "" if somebody has changed it, or for classes that it cannot name.
function command() {
  if (!page.drawn || page.drawn.counts.some((n, label) => n && /[=,]/.test(model.classes[label]))) return "";
  const { counts, size, distance, seed } = page.drawn;
  const asked = counts.flatMap((n, label) => (n ? [`${model.classes[label]}=${n}`] : [])).join(",");
  const name = /[^\w=,.-]/.test(asked) ? `'${asked.replaceAll("'", "'\\''")}'` : asked;
  return `${model.command} --counts ${name} --size ${size.join(",")} --min-distance ${distance} --seed ${seed} -o layout.geojson`;
}
