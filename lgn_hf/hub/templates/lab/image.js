/* Images: values from 0 to 255, channel by channel and row by row. */

const DEGREE = Math.PI / 180;

/* 0 rather than 6e-17, so that quarter turns move pixels onto pixels. */
function exact(value) { return Math.round(value * 1e15) / 1e15; }

/* The image, mirrored left to right if asked, and turned counter-clockwise about its centre: bilinear, black outside, 8 bits. */
export function turned(image, channels, side, degrees, mirrored) {
  const cos = exact(Math.cos(degrees * DEGREE)), sin = exact(Math.sin(degrees * DEGREE));
  const centre = (side - 1) / 2, result = new Uint8Array(image.length);
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      const y = i - centre, x = j - centre;
      const row = sin * x + cos * y + centre, column = cos * x - sin * y + centre;
      const top = Math.floor(row), left = Math.floor(column), down = row - top, right = column - left;
      for (let channel = 0; channel < channels; channel++) {
        const start = channel * side * side;
        const pixel = (r, c) => (r < 0 || c < 0 || r >= side || c >= side ? 0 : image[start + r * side + (mirrored ? side - 1 - c : c)]);
        const value = (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + 1))
          + down * ((1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1));
        result[start + i * side + j] = Math.min(255, Math.floor(value + 0.5));
      }
    }
  }
  return result;
}

/* A soft brush, as wide as the strokes of MNIST: the pixels near (x, y) become at least as bright as the brush is there. */
export function paint(image, channels, side, x, y) {
  const radius = side / 14;
  for (let i = Math.max(0, Math.floor(y - 2 * radius)); i <= Math.min(side - 1, y + 2 * radius); i++) {
    for (let j = Math.max(0, Math.floor(x - 2 * radius)); j <= Math.min(side - 1, x + 2 * radius); j++) {
      const distance = Math.hypot(i - y, j - x) / radius;
      const value = Math.round(255 * Math.max(0, Math.min(1, 1.7 - 1.2 * distance)));
      for (let channel = 0; channel < channels; channel++) {
        const at = (channel * side + i) * side + j;
        image[at] = Math.max(image[at], value);
      }
    }
  }
}

const SEVEN = [[0.25, 0.25], [0.75, 0.25], [0.45, 0.8]];

/* A seven, to begin with where there is no image. */
export function seven(channels, side) {
  const image = new Uint8Array(channels * side * side);
  for (const [number, [x, y]] of SEVEN.slice(1).entries()) {
    const [fromX, fromY] = SEVEN[number];
    for (let share = 0; share <= 1; share += 1 / 64) {
      paint(image, channels, side, side * (fromX + share * (x - fromX)) - 0.5, side * (fromY + share * (y - fromY)) - 0.5);
    }
  }
  return image;
}

export function decoded(text) { return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)); }

/* Draw an image on a canvas of its own size. */
export function show(canvas, image, channels, side) {
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), pixels = context.createImageData(side, side), area = side * side;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = image[i + (channels === 1 ? 0 : c * area)];
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}
