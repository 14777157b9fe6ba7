/* Heat maps of numbers from 0 on: from the colour of the card to a strong one, in light and in dark. */

const SCALES = {
  light: [[255, 254, 251], [158, 202, 225], [49, 130, 189], [8, 48, 107]],
  dark: [[28, 31, 36], [38, 84, 128], [86, 160, 214], [222, 240, 255]],
};
const dark = matchMedia("(prefers-color-scheme: dark)");

export function onSchemeChange(redraw) { dark.addEventListener("change", redraw); }

/* The colours of 256 steps, as bytes. */
function table() {
  const stops = SCALES[dark.matches ? "dark" : "light"], bytes = new Uint8Array(3 * 256);
  for (let step = 0; step < 256; step++) {
    const at = step / 255 * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at));
    for (let c = 0; c < 3; c++) bytes[3 * step + c] = Math.round(stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]));
  }
  return bytes;
}

/* Draw tiles beside each other, a pixel apart; each is height x width numbers, of which each becomes scale x scale pixels.
   Colours follow the square root, and `most` has the strongest. */
export function drawTiles(canvas, tiles, height, width, most, scale = Math.ceil(24 / width)) {
  const step = width * scale + 1;
  canvas.width = tiles.length * step - 1;
  canvas.height = height * scale;
  const context = canvas.getContext("2d"), pixels = context.createImageData(canvas.width, canvas.height), colours = table();
  for (const [number, tile] of tiles.entries()) {
    for (let i = 0; i < height * scale; i++) {
      for (let j = 0; j < width * scale; j++) {
        const value = tile[Math.floor(i / scale) * width + Math.floor(j / scale)], to = 4 * (i * canvas.width + number * step + j);
        const shade = most > 0 && value > 0 ? Math.min(255, Math.round(255 * Math.sqrt(value / most))) : 0;
        for (let c = 0; c < 3; c++) pixels.data[to + c] = colours[3 * shade + c];
        pixels.data[to + 3] = value === undefined ? 0 : 255;
      }
    }
  }
  context.putImageData(pixels, 0, 0);
}
