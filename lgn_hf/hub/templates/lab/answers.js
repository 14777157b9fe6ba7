/* What a network answers: its probabilities, and its answer at every angle. */
import { make, percent } from "./page.js";

const MOST_ROWS = 10;

function best(probabilities) { return probabilities.indexOf(Math.max(...probabilities)); }

/* The classes that are shown: all, in their order, or the most probable ones. */
function shown(labels, probabilities) {
  const every = labels.map((_, index) => index);
  if (labels.length <= MOST_ROWS) return every;
  return every.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, MOST_ROWS);
}

export function showAnswer(card, model, { probabilities }) {
  const winner = best(probabilities);
  card.querySelector(".winner").textContent = model.labels[winner];
  card.querySelector(".certainty").textContent = percent(probabilities[winner]);
  card.querySelector(".bars tbody").replaceChildren(...shown(model.labels, probabilities).map((index) => {
    const bar = make("span");
    bar.style.width = `${100 * probabilities[index]}%`;
    return make("tr", index === winner ? { class: "best" } : {},
      make("th", { scope: "row" }, model.labels[index]), make("td", { class: "bar" }, bar), make("td", {}, percent(probabilities[index])));
  }));
  return `${model.name} answers ${model.labels[winner]}, ${percent(probabilities[winner])}`;
}

/* The ribbon of answers; those that differ from the answer at 0 degrees are marked. */
export function showRibbon(card, model, sweep, angles) {
  const classes = sweep.map((entry) => entry && best(entry.probabilities));
  const first = classes[0], known = classes.filter((value) => value !== undefined);
  const same = known.filter((value) => value === first).length;
  const isShort = model.labels.every((label) => label.length <= 2);
  card.querySelector(".ribbon").replaceChildren(...angles.map((_, number) => {
    const value = classes[number];
    const cell = make("span", { class: value === undefined ? "" : value === first ? "same" : "other" });
    if (value !== undefined && isShort) cell.textContent = model.labels[value];
    return cell;
  }));
  card.querySelector(".kept").textContent = known.length < angles.length ? "Turning the image …"
    : `It answers ${model.labels[first]}, as at 0°, at ${same} of ${angles.length} angles.`;
}
