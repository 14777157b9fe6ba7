/* The image turns by itself, a full turn in eight seconds, until it is stopped. */
import { byId } from "./page.js";

const TURN_SECONDS = 8;

/* `current` gives the degrees now, and `turn` sets them. */
export function makePlayer(current, turn) {
  let request = null;

  function stop() {
    if (request !== null) cancelAnimationFrame(request);
    request = null;
    byId("play").textContent = "Turn by itself";
  }

  function play() {
    const from = current(), start = performance.now();
    const step = (now) => {
      turn(Math.round(from + 360 * Math.max(0, now - start) / 1000 / TURN_SECONDS) % 360);
      request = requestAnimationFrame(step);
    };
    request = requestAnimationFrame(step);
    byId("play").textContent = "Stop";
  }

  byId("play").addEventListener("click", () => { if (request === null) play(); else stop(); });
  return { stop };
}
