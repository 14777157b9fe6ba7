/* How one orbit answers as the image turns: a row per member, a column per angle. */
import { mean, orbitTiles } from "./codes.js";
import { drawTiles } from "./heat.js";
import { make, short } from "./page.js";

/* The mean code of each map of each layer, which is all that is kept of an angle. */
export function summary(model, { probabilities, codes }) {
  const means = model.layers.map((layer, number) =>
    Array.from({ length: layer.orbits }, (_, orbit) => orbitTiles(model, number, codes[number], orbit).map(mean)));
  return { probabilities, means };
}

export function showTurning(card, model, layer, orbit, sweep, angles, degrees) {
  const order = model.elements.length, columns = sweep.map((entry) => entry?.means[layer][orbit]);
  const most = Math.max(...columns.flatMap((column) => column ?? []));
  const rows = model.elements.map((_, element) => columns.map((column) => column?.[element]));
  drawTiles(card.querySelector(".turning canvas"), [rows.flat()], order, angles.length, most, 1);
  card.querySelector(".turning").style.setProperty("--order", order);
  card.querySelector(".mark").style.left = `${100 * (degrees / 360 * angles.length + 0.5) / angles.length % 100}%`;
  card.querySelector(".shift").textContent = columns.includes(undefined) ? "Turning the image …" : shiftText(model, rows, angles);
}

/* The numbers beside the rows: what each member answers now. */
export function showResponses(card, model, layer, orbit, code) {
  const means = orbitTiles(model, layer, code, orbit).map(mean);
  card.querySelector(".responses").replaceChildren(...model.elements.map((name, element) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, means[element].toPrecision(4)))));
}

/* How far the rows are from those of an orbit whose index shifts by one with every step of the turn. */
export function shiftError(rows, steps) {
  const order = rows.length, count = rows[0].length;
  const centre = mean(rows.flat());
  let wrong = 0, all = 0;
  for (let element = 0; element < order; element++) {
    for (let column = 0; column < count; column++) {
      const moved = rows[(element + 1) % order][(column + steps) % count];
      wrong += (moved - rows[element][column]) ** 2;
      all += 2 * (rows[element][column] - centre) ** 2;
    }
  }
  return all > 1e-8 * order * count * centre ** 2 ? Math.sqrt(wrong / all) : NaN;
}

function shiftText(model, rows, angles) {
  if (model.step === null) return "";
  const steps = model.step / 360 * angles.length;
  if (!Number.isInteger(steps)) return "";
  const error = shiftError(rows, steps);
  if (Number.isNaN(error)) return "This orbit gives the same answer at every angle.";
  return `Shift error ${short(error)}: 0 if each turn by ${short(model.step)}° moves the answers to the next row, 1 if the rows have nothing to do with each other.`;
}
