/* What the visitor has chosen, and what follows from it. */
import { onOtherAddress, readAddress, writeAddress } from "./address.js";
import { showAnswer, showRibbon } from "./answers.js";
import { makeRows, markRow, showCodes, strongestOrbit } from "./codes.js";
import { makeDial } from "./dial.js";
import { makePad } from "./draw_pad.js";
import { onSchemeChange } from "./heat.js";
import { decoded, seven, show, turned } from "./image.js";
import { byId, make, percent, speak } from "./page.js";
import { makePlayer } from "./player.js";
import { answers, loadRuntime, openModel } from "./runtime.js";
import { showResponses, showTurning, summary } from "./turning.js";

const lab = JSON.parse(byId("data").textContent);
const ANGLES = Array.from({ length: 36 }, (_, number) => 10 * number);
const BATCH = 4; // images of one run while the image turns by itself

const state = { degrees: 0, isMirrored: false, image: "0" };
const sides = ["a", "b"].map((name) => ({
  name, model: null, layer: 0, orbit: null, showsAll: false, opened: null, answer: null, sweep: [],
  cards: Object.fromEntries(["answer", "codes", "turning"].map((part) => [part, makeCard(part, name)])),
}));
const pad = { image: new Uint8Array(0), channels: 1, side: 0 };
const opened = new Map(); // models that can run, by name
let isReady = false;

function shape(model) { return `${model.channels}x${model.side}x${model.side}`; }

function active() { return sides.filter((side) => side.model !== null); }

/* Cards */

function makeCard(part, name) {
  const card = byId(`card-${part}`).content.firstElementChild.cloneNode(true);
  card.dataset.side = name;
  document.querySelector(`[data-part=${part}]`).append(card);
  return card;
}

/* Models */

function chooseModels(first, second) {
  const [a, b] = sides, before = a.model;
  setModel(a, first);
  const others = lab.models.filter((model) => shape(model) === shape(first) && model !== first);
  setModel(b, second && others.includes(second) ? second : null);
  fill(byId("model-a"), lab.models.map((model) => model.name), first.name);
  fill(byId("model-b"), ["none", ...others.map((model) => model.name)], b.model?.name ?? "none");
  byId("model-b").disabled = others.length === 0;
  document.body.classList.toggle("comparing", b.model !== null);
  if (!before || shape(before) !== shape(first)) newShape(first);
  request(true);
}

function setModel(side, model) {
  for (const card of Object.values(side.cards)) card.hidden = model === null;
  if (side.model === model) return;
  const layer = model ? (side.model && side.layer < model.layers.length ? side.layer : model.layers.length - 1) : 0;
  Object.assign(side, { model, layer, orbit: null, showsAll: false, opened: null, answer: null, sweep: [] });
  if (!model) return;
  for (const card of Object.values(side.cards)) card.querySelector("h3").textContent = model.name;
  side.cards.answer.querySelector(".facts").textContent = model.facts.join(", ");
  const select = side.cards.codes.querySelector("select");
  fill(select, model.layers.map((each) => each.name), model.layers[layer].name);
  select.onchange = () => { Object.assign(side, { layer: select.selectedIndex, orbit: null, showsAll: false }); newRows(side); };
  newRows(side);
}

function newRows(side) {
  makeRows(side.cards.codes, side.model, side.layer, side.orbit, side.showsAll,
    (orbit) => { side.orbit = orbit; markRow(side.cards.codes, orbit); showSide(side); },
    () => { side.showsAll = true; newRows(side); });
  showSide(side);
}

function fill(select, names, chosen) {
  select.replaceChildren(...names.map((name) => make("option", {}, name)));
  select.selectedIndex = Math.max(0, names.indexOf(chosen));
}

/* Images */

/* The size of images has changed: show the examples of this size, and the first of them. */
function newShape(model) {
  const { channels, side } = model, examples = lab.examples[shape(model)] ?? [];
  Object.assign(pad, { channels, side });
  byId("examples").replaceChildren(...examples.map((text, number) => {
    const canvas = make("canvas"), button = make("button", { type: "button", "aria-label": `image ${number + 1}` }, canvas);
    show(canvas, decoded(text), channels, side);
    button.addEventListener("click", () => chooseImage(String(number)));
    return button;
  }));
  byId("examples-name").hidden = examples.length === 0;
  chooseImage(examples[state.image] ? state.image : "0");
}

function chooseImage(name) {
  const text = (lab.examples[shape(pad)] ?? [])[name];
  if (text) pad.image = decoded(text);
  else pad.image = name === "none" ? new Uint8Array(pad.channels * pad.side ** 2) : seven(pad.channels, pad.side);
  state.image = text ? name : "drawn";
  picture.show(true);
  request(true);
}

const picture = makePad(pad, () => { state.image = "drawn"; picture.show(false); request(true); });
const player = makePlayer(() => state.degrees, turn);
const dial = makeDial((degrees) => { player.stop(); turn(degrees); });

function turn(degrees) {
  state.degrees = degrees;
  dial.show(degrees);
  request(false);
}

/* From the image to the answers: at most one frame is under way, and the newest image comes next. */

let isDirty = false, isBusy = false, sweepNumber = 0, sweepTimer;

/* The image has changed (`isNew`), or it was only turned. */
function request(isNew) {
  for (const [number, button] of [...byId("examples").children].entries()) button.setAttribute("aria-pressed", String(number) === state.image);
  showSeen();
  writeAddress({ model: sides[0].model.name, beside: sides[1].model?.name ?? "none", image: state.image, turn: state.degrees, mirror: state.isMirrored ? 1 : 0 });
  if (isNew) {
    sweepNumber++;
    for (const side of sides) side.sweep = [];
    clearTimeout(sweepTimer);
    sweepTimer = setTimeout(sweep, 150);
  }
  isDirty = true;
  if (isReady && !isBusy) frames();
}

function seen(degrees) { return turned(pad.image, pad.channels, pad.side, degrees, state.isMirrored); }

function showSeen() {
  const image = seen(state.degrees);
  for (const id of ["seen", "seen-small"]) show(byId(id), image, pad.channels, pad.side);
}

async function frames() {
  isBusy = true;
  try {
    while (isDirty) {
      isDirty = false;
      for (const side of active()) await open(side);
      const start = performance.now();
      await frame();
      byId("speed").textContent = `This frame took ${Math.round(performance.now() - start)} ms.`;
      performance.measure("frame", { start, end: performance.now() });
      await new Promise(requestAnimationFrame);
    }
  } catch (error) {
    fail(error);
  } finally {
    isBusy = false;
  }
}

async function frame() {
  const image = seen(state.degrees);
  const asked = active().filter((side) => side.opened);
  for (const side of asked) [side.answer] = await answers(side.opened, [image]);
  const sentences = asked.map((side) => {
    showSide(side);
    return showAnswer(side.cards.answer, side.model, side.answer);
  });
  byId("verdicts").replaceChildren(...sentences.map((sentence) => make("div", {}, sentence)));
  speak(`${state.degrees} degrees: ${sentences.join("; ")}`);
}

async function open(side) {
  if (side.opened) return;
  const { model } = side;
  if (!opened.has(model.name)) opened.set(model.name, openModel(model));
  side.opened = await opened.get(model.name);
}

/* What depends on the chosen layer and orbit. */
function showSide(side) {
  const { model, layer, answer, cards } = side;
  if (!answer) return;
  const code = answer.codes[layer];
  if (side.orbit === null) {
    side.orbit = strongestOrbit(model, layer, code);
    markRow(cards.codes, side.orbit);
  }
  showCodes(cards.codes, model, layer, code);
  showResponses(cards.turning, model, layer, side.orbit, code);
  cards.turning.querySelector(".which").textContent = `${model.layers[layer].name}, orbit ${side.orbit + 1}`;
  showSweep(side);
}

function showSweep(side) {
  const entries = ANGLES.map((_, number) => side.sweep[number]);
  if (!entries[0] || side.orbit === null) return;
  showTurning(side.cards.turning, side.model, side.layer, side.orbit, entries, ANGLES, state.degrees);
  showRibbon(side.cards.answer, side.model, entries, ANGLES);
}

/* Answer the image at every angle, a few at a time, until there is another image. */
async function sweep() {
  const mine = sweepNumber;
  if (!isReady) return;
  try {
    for (let start = 0; start < ANGLES.length; start += BATCH) {
      for (const side of active()) {
        await open(side);
        const { model } = side;
        const found = await answers(side.opened, ANGLES.slice(start, start + BATCH).map(seen));
        if (mine !== sweepNumber) return;
        side.sweep.push(...found.map((answer) => summary(model, answer)));
        showSweep(side);
      }
      await new Promise((resolve) => { setTimeout(resolve); }); // let events through
    }
    document.body.dataset.sweep = String(mine);
  } catch (error) {
    fail(error);
  }
}

/* Show what the address asks for. */
function restore() {
  const asked = readAddress(lab.models), first = asked.first ?? lab.models[0];
  byId("notice").hidden = asked.missing === null;
  byId("notice").textContent = asked.missing === null ? "" : `This lab does not have ${asked.missing}, which the link names.`;
  const alike = lab.models.filter((model) => shape(model) === shape(first) && model !== first);
  const second = asked.isAlone ? null : asked.second ?? alike.find((model) => model.elements.length === 1) ?? alike[0];
  Object.assign(state, { image: asked.image, isMirrored: asked.isMirrored, degrees: asked.degrees });
  showMirror();
  dial.show(state.degrees);
  chooseModels(first, second);
}

function showMirror() { byId("mirror").setAttribute("aria-pressed", state.isMirrored); }

/* Start */

function fail(error) {
  byId("loading").hidden = true;
  byId("notice").hidden = false;
  byId("notice").textContent = `The networks cannot run here: ${error.message}`;
}

function listen() {
  byId("model-a").addEventListener("change", (event) => chooseModels(lab.models[event.target.selectedIndex], sides[1].model));
  byId("model-b").addEventListener("change", (event) => chooseModels(sides[0].model, lab.models.find((model) => model.name === event.target.value)));
  byId("clear").addEventListener("click", () => { chooseImage("none"); byId("pad").focus(); });
  byId("mirror").addEventListener("click", () => {
    state.isMirrored = !state.isMirrored;
    showMirror();
    request(true);
  });
  byId("quarter").addEventListener("click", () => { player.stop(); turn((state.degrees + 90) % 360); });
  byId("back").addEventListener("click", () => { player.stop(); turn(0); });
  onOtherAddress(restore);
  onSchemeChange(() => { for (const side of active()) showSide(side); });
}

async function start() {
  try {
    await loadRuntime(lab.runtime, (share) => {
      byId("progress").value = share;
      byId("share").textContent = percent(share).replace(/\.\d+/, "");
    });
    isReady = true;
    byId("loading").hidden = true;
    await frames();
    sweep();
  } catch (error) {
    fail(error);
  }
}

byId("atlas-link").hidden = !lab.atlas;
listen();
restore();
requestAnimationFrame(() => setTimeout(start)); // after the first paint
