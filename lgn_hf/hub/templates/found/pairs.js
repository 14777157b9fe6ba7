/* Atoms, what an action makes of them, and the atoms that these are matched to. */
import { make, short } from "../lab/page.js";

const FIRST_ROWS = 24;

export function floats(text) {
  return new Float32Array(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
}

/* An atom, channel after channel, each column by column: grey in blue and red, colour as it is. */
function draw(canvas, values, channels, side) {
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), pixels = context.createImageData(side, side);
  const most = Math.max(...values.map(Math.abs)) || 1, area = side * side;
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      const at = j * side + i, to = 4 * (i * side + j);
      for (let c = 0; c < 3; c++) {
        const value = values[(channels === 1 ? 0 : c * area) + at] / most;
        pixels.data[to + c] = channels === 1 ? diverging(value, c) : Math.round(127.5 * (1 + value));
      }
      pixels.data[to + 3] = 255;
    }
  }
  context.putImageData(pixels, 0, 0);
}

const BLUE = [33, 102, 172], MIDDLE = [247, 247, 247], RED = [178, 24, 43];

function diverging(value, channel) {
  const end = value < 0 ? BLUE : RED, share = Math.min(1, Math.abs(value));
  return Math.round(MIDDLE[channel] + share * (end[channel] - MIDDLE[channel]));
}

/* One row per atom, the smallest residual first or last. */
export function showPairs(body, search, action, isDown, showsAll) {
  const { channels, side } = search, dim = channels * side * side;
  const atoms = floats(search.atoms), moved = floats(action.moved);
  const rows = [...action.pairs].sort((a, b) => (isDown ? b[2] - a[2] : a[2] - b[2]));
  const shown = showsAll ? rows : rows.slice(0, FIRST_ROWS);
  const tile = (values, number) => {
    const canvas = make("canvas", { "aria-hidden": "true" });
    draw(canvas, values.subarray(number * dim, (number + 1) * dim), channels, side);
    return make("td", {}, canvas);
  };
  body.replaceChildren(...shown.map(([atom, matched, residual]) => make("tr", {},
    make("th", { scope: "row" }, String(atom + 1)), tile(atoms, atom), tile(moved, atom), tile(atoms, matched),
    make("td", {}, String(matched + 1)), make("td", { class: "residual" }, short(residual)))));
  return rows.length - shown.length;
}
