// What the worker does with the page's messages. Each answer carries the number of its question.

let network = null, model = null;

onmessage = ({ data: { number, kind, value } }) => {
  const answer = (what, found) => postMessage({ number, kind: what, value: found });
  try {
    if (kind === "load") {
      model = value.model;
      network = new Network(unpacked(value.weights, model.tensors), { ...model.network, classes: model.classes.length });
      answer("done", null);
    } else if (kind === "draw") {
      let last = 0;
      const found = generate(network, model.sampling, value, (call, calls, points) => {
        const now = Date.now();
        if (now - last < 40 && call < calls) return; // pictures that nobody could see
        last = now;
        answer("progress", { call, calls, points });
      });
      answer("done", found);
    } else {
      answer("done", statistics(value, model.classes, model.curves));
    }
  } catch (error) {
    answer("refused", error instanceof Refusal ? error.message : `this page failed: ${error.message}`);
  }
};
