/* The runtime and the networks. They are scripts beside the page, since a page on a disk may run scripts but fetch nothing. */

const parts = new Map(); // by the name of a file: its parts

globalThis.labReceive = (name, number, text) => {
  if (!parts.has(name)) parts.set(name, []);
  parts.get(name)[number] = text;
};

function runScript(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${address} cannot be read`));
    document.head.append(script);
  });
}

/* The bytes of a file whose scripts have run. */
async function unpacked(name) {
  const text = parts.get(name).join("");
  parts.delete(name);
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

let ort;

/* Load the runtime; `onProgress` is told the share that is done. */
export async function loadRuntime({ scripts, module, wasm }, onProgress) {
  for (const [number, address] of scripts.entries()) {
    await runScript(address);
    onProgress((number + 1) / (scripts.length + 2));
  }
  const address = URL.createObjectURL(new Blob([await unpacked(module)], { type: "text/javascript" }));
  ort = await import(address);
  URL.revokeObjectURL(address);
  onProgress((scripts.length + 1) / (scripts.length + 2));
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await unpacked(wasm) });
  ort.env.logLevel = "error";
}

/* A model that can run. */
export async function openModel(model) {
  await runScript(model.file);
  const session = await ort.InferenceSession.create(await unpacked(model.file));
  return { model, session };
}

let queue = Promise.resolve(); // a session must not run twice at once

/* The answers to some images: probabilities and codes, image by image. */
export function answers(opened, images) {
  queue = queue.catch(() => {}).then(() => run(opened, images));
  return queue;
}

async function run({ model, session }, images) {
  const { channels, side } = model, size = channels * side * side;
  const values = new Float32Array(images.length * size);
  for (const [number, image] of images.entries()) for (let i = 0; i < size; i++) values[number * size + i] = image[i] / 255;
  const outputs = await session.run({ pixel_values: new ort.Tensor("float32", values, [images.length, channels, side, side]) });
  const logits = outputs.logits.data, classes = model.labels.length;
  const codes = model.layers.map((_, layer) => outputs[`code_${layer + 1}`].data);
  return images.map((_, number) => ({
    probabilities: softmax(logits.subarray(number * classes, (number + 1) * classes)),
    codes: codes.map((data) => data.subarray(number * data.length / images.length, (number + 1) * data.length / images.length)),
  }));
}

function softmax(logits) {
  const most = Math.max(...logits), powers = Array.from(logits, (value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
