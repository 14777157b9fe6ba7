/* Where searches without symmetry ended, and where the search in the data did. */
import { make, short } from "../lab/page.js";

const BINS = 24, WIDTH = 480, HEIGHT = 150, LEFT = 10, FOOT = 24;

function svg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/* The histogram of a null, with a line at `value`. Returns a figure with its words. */
export function histogram(values, value, isFound) {
  const low = Math.min(...values, value), high = Math.max(...values, value), room = 0.05 * (high - low || 1);
  const x = (number) => LEFT + (number - low + room) / (high - low + 2 * room) * (WIDTH - 2 * LEFT);
  const counts = new Array(BINS).fill(0), width = (high - low + 2 * room) / BINS;
  for (const each of values) counts[Math.min(BINS - 1, Math.floor((each - low + room) / width))]++;
  const most = Math.max(...counts), floor = HEIGHT - FOOT;
  const bars = counts.map((count, bin) => svg("rect", {
    class: "bar", x: x(low - room + bin * width) + 0.5, width: (WIDTH - 2 * LEFT) / BINS - 1,
    y: floor - (floor - 14) * count / most, height: (floor - 14) * count / most,
  }));
  const line = svg("path", { class: isFound ? "found" : "best", d: `M${x(value)} 4V${floor}` });
  const ticks = [low, (low + high) / 2, high].map((tick) => svg("text", { x: x(tick), y: HEIGHT - 6, "text-anchor": "middle" }, short(tick)));
  const beyond = values.filter((each) => each <= value).length;
  const words = `${isFound ? "Found" : "The best of the data"}: mismatch ${short(value)}. Of ${values.length} searches without symmetry, ${beyond} ended as low; `
    + `they lie between ${short(Math.min(...values))} and ${short(Math.max(...values))}.`;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, ...bars, svg("path", { class: "axis", d: `M${LEFT} ${floor}H${WIDTH - LEFT}` }), line, ...ticks);
  return [picture, make("p", { class: "hint" }, words)];
}
