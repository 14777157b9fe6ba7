/* Which search and which order is shown. */
import { byId, make, short, speak } from "../lab/page.js";
import { histogram } from "./null_histogram.js";
import { showPairs } from "./pairs.js";

const { searches } = JSON.parse(byId("data").textContent);
const state = { search: searches[0], choice: 0, isDown: false, showsAll: false };

/* What was found, then the orders of which nothing was. */
function choices(search) {
  const found = search.actions.map((action, number) => ({
    order: action.order, action, text: `${number + 1}: order ${action.order}${action.nearest ? `, near ${action.nearest}` : ""}`,
  }));
  const orders = Object.keys(search.null).map(Number).filter((order) => !search.actions.some((action) => action.order === order));
  return [...found, ...orders.map((order) => ({ order, action: null, text: `order ${order}: not found` }))];
}

function fact(name, text) { return [make("dt", {}, name), make("dd", {}, text)]; }

function facts({ order, action }) {
  if (!action) return fact("Order", `${order}, not found`);
  const { residual, p_value: chance, nearest, correlation } = action;
  return [...fact("Order", String(order)), ...fact("Residual", short(residual)), ...fact("p-value", chance.toExponential(1)),
    ...(nearest ? fact("Nearest operation", `${nearest}, correlation ${correlation.toFixed(2)}`) : [])];
}

function render() {
  const { search } = state, every = choices(search), choice = every[state.choice];
  byId("summary").textContent = search.summary;
  byId("choice").replaceChildren(...every.map(({ text }) => make("option", {}, text)));
  byId("choice").selectedIndex = state.choice;
  byId("facts").replaceChildren(...(choice ? facts(choice) : []));
  const values = choice && search.null[choice.order], value = choice?.action?.mismatch ?? search.best[choice?.order];
  byId("null").replaceChildren(...(values?.length && value !== undefined ? histogram(values, value, choice.action !== null) : [make("p", {}, "No null was drawn.")]));
  byId("pairs").hidden = !choice?.action;
  if (!choice?.action) return;
  const left = showPairs(byId("pairs").querySelector("tbody"), search, choice.action, state.isDown, state.showsAll);
  byId("more").hidden = left === 0;
  byId("more").textContent = `Show the other ${left}`;
  byId("by-residual").setAttribute("aria-sort", state.isDown ? "descending" : "ascending");
}

byId("search").replaceChildren(...searches.map(({ name }) => make("option", {}, name)));
byId("search").addEventListener("change", (event) => {
  Object.assign(state, { search: searches[event.target.selectedIndex], choice: 0, showsAll: false });
  render();
});
byId("choice").addEventListener("change", (event) => { Object.assign(state, { choice: event.target.selectedIndex, showsAll: false }); render(); });
byId("by-residual").querySelector("button").addEventListener("click", () => {
  state.isDown = !state.isDown;
  render();
  speak(state.isDown ? "largest residual first" : "smallest residual first");
});
byId("more").addEventListener("click", () => { state.showsAll = true; render(); });
render();
