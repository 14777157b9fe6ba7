/* Elements, and texts that are spoken. */

export function byId(id) { return document.getElementById(id); }

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

let due;

/* Say something to those who do not see the page, once it has settled. */
export function speak(text) {
  clearTimeout(due);
  due = setTimeout(() => { byId("live").textContent = text; }, 400);
}

export function percent(value) { return `${(100 * value).toFixed(2)} %`; }

/* A number with three digits. */
export function short(value) { return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "–"; }
