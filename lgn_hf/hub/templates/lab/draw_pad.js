/* The pad to draw on, with mouse, finger or keys. */
import { paint, show } from "./image.js";
import { byId, speak } from "./page.js";

const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

/* `pad` is {image, channels, side}, and `onChange` is called after each stroke. */
export function makePad(pad, onChange) {
  const canvas = byId("pad"), cursor = byId("pad-cursor");
  let last = null, at = { x: 0, y: 0 };

  function place({ x, y }) {
    at = { x: Math.max(0, Math.min(pad.side - 1, x)), y: Math.max(0, Math.min(pad.side - 1, y)) };
    cursor.style.left = `${100 * (at.x + 0.5) / pad.side}%`;
    cursor.style.top = `${100 * (at.y + 0.5) / pad.side}%`;
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width * pad.side - 0.5, y: (event.clientY - box.top) / box.height * pad.side - 0.5 };
  }

  function line(from, to) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y)));
    for (let step = 1; step <= steps; step++) {
      const share = step / steps;
      paint(pad.image, pad.channels, pad.side, from.x + share * (to.x - from.x), from.y + share * (to.y - from.y));
    }
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    last = point(event);
    line(last, last);
    place(last);
    onChange();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last === null) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const next = point(each);
      line(last, next);
      last = next;
    }
    onChange();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { last = null; });
  canvas.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (move) {
      const before = at;
      place({ x: Math.round(at.x) + move[0], y: Math.round(at.y) + move[1] });
      if (event.shiftKey) { line(before, at); onChange(); }
      speak(`row ${Math.round(at.y)}, column ${Math.round(at.x)}`);
    } else if (event.key === " ") {
      line(at, at);
      onChange();
    } else return;
    event.preventDefault();
  });

  return {
    /* Show the image; if it is another one, the cursor goes to its middle. */
    show(isNew) {
      show(canvas, pad.image, pad.channels, pad.side);
      if (isNew) place({ x: (pad.side - 1) / 2, y: (pad.side - 1) / 2 });
    },
  };
}
