// The page put together.

let measuring = 0;

// Show the layout again; `text` says what was done, and ends any complaint. Statistics follow when nothing has changed
// for a moment.
function changed(text) {
  if (text) {
    complain("");
    say(text);
  }
  draw();
  const counts = countsOf(page.cells), kept = page.cells.filter(one => one.kept).length;
  const parts = model.classes.map((name, label) => `${counts[label]} ${name}`).join(", ");
  const total = `${page.cells.length} cells: ${parts}${kept ? `; ${kept} kept` : ""}.`;
  $("summary").textContent = `${total} ${page.size[0]} × ${page.size[1]} px of ${model.mpp} µm.`;
  $("picture").setAttribute("aria-label", `layout of ${total}`);
  $("hint").textContent = HINTS[tool()];
  $("within").hidden = !page.lasso || tools.drawing;
  $("undo").setAttribute("aria-disabled", busy() || !page.past.length);
  $("release").setAttribute("aria-disabled", busy() || !kept);
  $("command").textContent = command();
  $("same").hidden = !$("command").textContent;
  if ($("table-of-cells").open) fillTable();
  clearTimeout(measuring);
  measuring = setTimeout(() => !busy() && measure().catch(() => {}), 120); // a stopped worker answers no more
}

// After an edit the layout is no longer what the seed gives.
function edited(text) {
  page.drawn = null;
  changed(text);
}

function fillTable() {
  const rows = page.cells.map(({ y, x, label, kept }) => {
    const row = make("tr");
    for (const text of [y.toFixed(2), x.toFixed(2), model.classes[label], kept ? "yes" : ""]) make("td", { text }, row);
    return row;
  });
  $("cells").replaceChildren(...rows);
}

function buildFields() {
  model.classes.forEach((name, label) => {
    for (const [into, id, value] of [["counts", "count", model.counts[label]], ["inner", "inner", 0]]) {
      const field = make("label", {}, $(into));
      make("span", { class: "dot", style: `background:${model.colours[label]}` }, field);
      field.append(name);
      make("input", { type: "number", inputmode: "numeric", min: 0, step: 1, value, id: `${id}${label}` }, field);
    }
    make("option", { value: label, text: name }, $("added"));
  });
  for (const id of ["height", "width"]) $(id).setAttribute("value", model.size);
  const real = model.curves.real;
  $("real").textContent = real
    ? `Blue line: this layout. Grey: ${real.windows} windows of ${model.network.region} × ${model.network.region} px of ` +
      `${real.name}, their middle (dashed) and 90 % of them (band). A curve is of the ` +
      `windows with ${model.curves.few} or more cells of its classes. One window differs a lot from another, so a single ` +
      "layout may leave the band in places."
    : "Blue line: this layout. This page was made without real tissue to compare with (cellscaper page --real).";
}

function listen() {
  const on = (id, event, action) => $(id).addEventListener(event, action);
  const onIdle = (id, action) => on(id, "click", () => {
    if (busy()) return;
    settle();
    action();
  });
  on("request", "submit", event => {
    event.preventDefault();
    if (busy()) return;
    settle();
    drawAnew();
  });
  onIdle("another", () => {
    nextSeed();
    drawAnew();
  });
  on("cancel", "click", stop);
  document.addEventListener("keydown", event => event.key === "Escape" && busy() && stop());
  onIdle("rearrange", rearrange);
  onIdle("inpaint", inpaint);
  onIdle("undo", undo);
  onIdle("release", () => {
    if (!page.cells.some(one => one.kept)) return;
    remember();
    for (const cell of page.cells) cell.kept = false;
    changed("No cell is kept.");
  });
  onIdle("clear", () => {
    page.lasso = null;
    changed("The lasso is gone.");
  });
  on("look", "change", draw);
  for (const one of document.querySelectorAll("input[name=tool]")) one.addEventListener("change", () => settle() || changed());
  on("table-of-cells", "toggle", () => changed());
  on("geojson", "click", () => save(new Blob([geojson()], { type: "application/geo+json" }), "layout.geojson"));
  on("csv", "click", () => save(new Blob([csv()], { type: "text/csv" }), "layout.csv"));
  on("png", "click", async () => save(await pngOf(), "layout.png"));
  on("picture", "pointerdown", pointerDown);
  on("picture", "pointermove", pointerMove);
  on("picture", "pointerup", pointerUp);
  on("picture", "pointercancel", pointerUp);
  on("picture", "keydown", key);
  on("picture", "focus", draw);
  on("picture", "blur", draw);
  window.addEventListener("resize", draw);
}

buildFields();
listen();
changed();
startWorker().then(drawAnew, error => error.message === "stopped" || complain(error.message));
