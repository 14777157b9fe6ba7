/* The codes of a layer: one row per orbit, one tile per member of the orbit. */
import { drawTiles } from "./heat.js";
import { make, short } from "./page.js";

const MOST_ORBITS = 12;

/* The tiles of an orbit in the code of a layer. */
export function orbitTiles(model, layer, code, orbit) {
  const { height, width } = model.layers[layer], area = height * width, order = model.elements.length;
  return model.elements.map((_, element) => code.subarray((orbit * order + element) * area, (orbit * order + element + 1) * area));
}

export function mean(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/* The orbit, among those that are shown at first, that is most active. */
export function strongestOrbit(model, layer, code) {
  const means = Array.from({ length: Math.min(model.layers[layer].orbits, MOST_ORBITS) }, (_, orbit) => mean(orbitTiles(model, layer, code, orbit).map(mean)));
  return means.indexOf(Math.max(...means));
}

/* Make the rows of a layer; `onChoose` is told the orbit. */
export function makeRows(card, model, layer, chosen, showsAll, onChoose, onAll) {
  const order = model.elements.length, count = model.layers[layer].orbits;
  const rows = card.querySelector(".orbits"), shown = showsAll ? count : Math.min(count, MOST_ORBITS);
  rows.setAttribute("aria-label", `Orbits of ${model.layers[layer].name}`);
  rows.style.setProperty("--order", order);
  rows.classList.toggle("single", order === 1);
  const heads = card.querySelector(".heads");
  heads.style.setProperty("--order", order);
  heads.hidden = order === 1;
  heads.replaceChildren(...model.elements.map((name) => make("span", {}, name)));
  rows.replaceChildren(...Array.from({ length: shown }, (_, orbit) => {
    const isChosen = orbit === chosen || (chosen === null && orbit === 0);
    const button = make("button", { type: "button", role: "radio", "aria-checked": isChosen, tabindex: isChosen ? 0 : -1 },
      make("span", { class: "number" }, String(orbit + 1)), make("canvas"));
    button.addEventListener("click", () => onChoose(orbit));
    return button;
  }));
  rows.onkeydown = (event) => {
    const move = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const next = (chosenOf(rows) + move + shown) % shown;
    onChoose(next);
    rows.children[next].focus();
  };
  const more = card.querySelector(".more");
  more.hidden = shown === count;
  more.textContent = `Show all ${count} orbits`;
  more.onclick = onAll;
}

function chosenOf(rows) { return [...rows.children].findIndex((row) => row.getAttribute("aria-checked") === "true"); }

export function markRow(card, chosen) {
  for (const [orbit, row] of [...card.querySelector(".orbits").children].entries()) {
    row.setAttribute("aria-checked", orbit === chosen);
    row.tabIndex = orbit === chosen ? 0 : -1;
  }
}

export function showCodes(card, model, layer, code) {
  const { height, width } = model.layers[layer];
  let most = 0;
  for (const value of code) if (value > most) most = value;
  for (const [orbit, row] of [...card.querySelector(".orbits").children].entries()) {
    const tiles = orbitTiles(model, layer, code, orbit);
    drawTiles(row.querySelector("canvas"), tiles, height, width, most);
    const means = tiles.map(mean), strongest = means.indexOf(Math.max(...means));
    row.setAttribute("aria-label", `orbit ${orbit + 1}, strongest: ${model.elements[strongest]}, mean ${short(means[strongest])}`);
  }
  card.querySelector(".most").textContent = `From 0 to ${short(most)}; the colour follows the square root.`;
}
