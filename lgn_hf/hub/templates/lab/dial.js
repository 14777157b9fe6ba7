/* The dial around the image: it turns counter-clockwise, and its mark stands at the top for 0 degrees. On small screens a
   slider at the bottom does the same. */
import { byId } from "./page.js";

const STEPS = { ArrowLeft: 1, ArrowUp: 1, ArrowRight: -1, ArrowDown: -1, PageUp: 15, PageDown: -15 };

/* `onTurn` is called with whole degrees from 0 to 359. */
export function makeDial(onTurn) {
  const dial = byId("dial"), hand = byId("dial-hand");
  let degrees = 0, isHeld = false;

  function turnTo(value) {
    degrees = ((Math.round(value) % 360) + 360) % 360;
    onTurn(degrees);
  }

  function angle(event) {
    const box = dial.getBoundingClientRect();
    return Math.atan2(box.left + box.width / 2 - event.clientX, box.top + box.height / 2 - event.clientY) * 180 / Math.PI;
  }

  dial.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dial.setPointerCapture(event.pointerId);
    isHeld = true;
    turnTo(angle(event));
  });
  dial.addEventListener("pointermove", (event) => { if (isHeld) turnTo(angle(event)); });
  for (const name of ["pointerup", "pointercancel"]) dial.addEventListener(name, () => { isHeld = false; });
  dial.addEventListener("keydown", (event) => {
    if (event.key in STEPS) turnTo(degrees + STEPS[event.key]);
    else if (event.key === "Home") turnTo(0);
    else if (event.key === "End") turnTo(359);
    else return;
    event.preventDefault();
  });

  byId("bar-turn").addEventListener("input", (event) => turnTo(Number(event.target.value)));

  return {
    show(value) {
      degrees = value;
      dial.setAttribute("aria-valuenow", value);
      dial.setAttribute("aria-valuetext", `${value} degrees counter-clockwise`);
      hand.setAttribute("transform", `rotate(${-value} 100 100)`);
      byId("bar-turn").value = value;
      byId("degrees").textContent = byId("bar-degrees").textContent = `${value}°`;
    },
  };
}
