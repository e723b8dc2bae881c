// The picture of a layout, on the screen and as a PNG.

// Half axes of schematic nuclei, px at 0.5 µm.
const NUCLEI = {
  lymphocyte: [7, 6.3], epithelial: [9.5, 7.2], stromal: [12, 4], connective: [12, 4], neutrophil: [6.5, 6],
  plasma: [7.5, 6], eosinophil: [6.5, 6],
};

// Paint cells at `scale` canvas pixels a px. `marks`: also rings around kept cells.
function paint(context, cells, scale, look, marks) {
  const unit = Math.max(scale, 0.6);
  cells.forEach(({ y, x, label, kept }, i) => {
    const shade = model.colours[label], across = x * scale, down = y * scale;
    context.beginPath();
    let ring = 6 * unit;
    if (look === "nuclei") {
      const [long, short] = (NUCLEI[model.classes[label]] ?? [8, 6.5]).map(half => (half * 0.5) / model.mpp);
      const turn = ((i * 0.618034) % 1) * Math.PI;
      ring = (long + 2) * scale;
      context.ellipse(across, down, long * scale, short * scale, turn, 0, 2 * Math.PI);
      context.globalAlpha = 0.55;
      context.fillStyle = shade;
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = shade;
      context.lineWidth = unit;
      context.stroke();
    } else {
      context.arc(across, down, 3.4 * unit, 0, 2 * Math.PI);
      context.fillStyle = shade;
      context.fill();
    }
    if (!marks || !kept) return;
    context.beginPath();
    context.arc(across, down, ring, 0, 2 * Math.PI);
    context.strokeStyle = "#1d2329";
    context.lineWidth = Math.max(1.2, 0.5 * unit);
    context.stroke();
  });
}

// Cells as they are now, or as they come out of the noise.
function shownCells() {
  if (!page.preview) return page.cells;
  const { points, labels, staying } = page.preview;
  return [...staying, ...Array.from(labels, (label, i) => ({ y: points[2 * i], x: points[2 * i + 1], label }))];
}

function draw() {
  const canvas = $("picture"), [height, width] = (page.preview ?? page).size;
  const room = Math.max($("layout").clientWidth - 2, 16); // a window that is not there yet has no width
  const zoom = Math.min(room / width, 660 / Math.max(height, width)), dense = window.devicePixelRatio || 1;
  canvas.style.width = `${width * zoom + 2}px`; // with its border
  canvas.width = Math.round(width * zoom * dense);
  canvas.height = Math.round(height * zoom * dense);
  const context = canvas.getContext("2d"), scale = zoom * dense;
  paint(context, shownCells(), scale, $("look").value, true);
  if (page.lasso) outline(context, page.lasso, scale);
  if (document.activeElement === canvas && tools.keyboard) cross(context, tools.cross, scale);
}

function outline(context, corners, scale) {
  context.beginPath();
  corners.forEach(([y, x], i) => (i ? context.lineTo(x * scale, y * scale) : context.moveTo(x * scale, y * scale)));
  context.closePath();
  context.fillStyle = "rgb(0 85 143 / 10%)";
  context.fill();
  context.strokeStyle = "#00558f";
  context.lineWidth = 2;
  context.setLineDash([6, 4]);
  context.stroke();
  context.setLineDash([]);
}

function cross(context, [y, x], scale) {
  for (const [colour, thick] of [["#fff", 4], ["#1d2329", 1.5]]) {
    context.beginPath();
    context.moveTo((x - 9) * scale, y * scale);
    context.lineTo((x + 9) * scale, y * scale);
    context.moveTo(x * scale, (y - 9) * scale);
    context.lineTo(x * scale, (y + 9) * scale);
    context.strokeStyle = colour;
    context.lineWidth = thick;
    context.stroke();
  }
}

// A PNG of the layout alone, 3 pixels a px.
function pngOf() {
  const canvas = document.createElement("canvas"), scale = 3;
  [canvas.height, canvas.width] = page.size.map(side => side * scale);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  paint(context, page.cells, scale, $("look").value, false);
  return new Promise(resolve => canvas.toBlob(resolve, "image/png"));
}
