// The crop and the reading of a pose, as keras_cpm does it: see geometry.py and sampling.py of the package.
// Positions are those of pixel centres: (0, 0) is the middle of the top-left pixel.

// 80 % of a photograph's height is the person who fills it (run_benchmark.m of the release).
const PERSON_SHARE_OF_IMAGE = 234.2857142857143 / 368 / 0.8;

// {scale, x, y} with network = scale * image + (x, y). `box` is [x0, y0, x1, y1] in image pixels, or null: the
// person fills the image.
export function networkFromImage(width, height, box, spec) {
  const [x0, y0, x1, y1] = box ?? [0, 0, width - 1, height - 1];
  const person = box ? Math.max(x1 - x0, y1 - y0) : height * PERSON_SHARE_OF_IMAGE;
  const scale = spec.person_height / person;
  const middle = (spec.box_size - 1) / 2;
  return {scale, x: middle - (scale * (x0 + x1)) / 2, y: middle - (scale * (y0 + y1)) / 2};
}

// Points [x, y, x, y, ...] of the network box in image pixels.
export function imageFromNetwork(points, map) {
  return Array.from(points, (value, i) => (value - (i % 2 ? map.y : map.x)) / map.scale);
}

// The network box of an image: Float32Array (box_size, box_size, 3), RGB 0..255. `image` is an ImageData, or the
// like: {width, height, data: RGBA}. Bilinear; what is shrunk by more than two is first halved by averaging.
export function crop(image, map, spec) {
  let level = 0;
  let {scale, x: shiftX, y: shiftY} = map;
  const sizes = levelsOf(image);
  while (scale < 0.5 && Math.min(...sizes[level].slice(1)) > 1) {
    if (!sizes[++level]) sizes.push(halved(...sizes[level - 1]));
    // pixel i of the half is in the middle of pixels 2 i and 2 i + 1
    shiftX += scale / 2;
    shiftY += scale / 2;
    scale *= 2;
  }
  const [pixels, width, height] = sizes[level];
  const size = spec.box_size;
  const box = new Float32Array(size * size * 3).fill(spec.pad_value);
  for (let row = 0; row < size; ++row) {
    const y = (row - shiftY) / scale, top = Math.floor(y);
    if (top < -1 || top >= height) continue;
    for (let column = 0; column < size; ++column) {
      const x = (column - shiftX) / scale, left = Math.floor(x);
      if (left < -1 || left >= width) continue;
      mix(box, 3 * (row * size + column), pixels, width, height, left, top, x - left, y - top, spec.pad_value);
    }
  }
  return box;
}

function mix(box, at, pixels, width, height, left, top, right, down, outside) {
  const weights = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down];
  for (let channel = 0; channel < 3; ++channel) {
    let sum = 0;
    for (let corner = 0; corner < 4; ++corner) {
      const x = left + (corner & 1), y = top + (corner >> 1);
      const inside = x >= 0 && x < width && y >= 0 && y < height;
      sum += weights[corner] * (inside ? pixels[3 * (y * width + x) + channel] : outside);
    }
    box[at + channel] = sum;
  }
}

// [pixels, width, height] of an image, and as often as it was halved: a photograph is looked at many times.
const levels = new WeakMap();
function levelsOf(image) {
  if (!levels.has(image)) levels.set(image, [[rgbOf(image), image.width, image.height]]);
  return levels.get(image);
}

function rgbOf({width, height, data, rgb}) {
  if (rgb) return rgb;
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; ++i)
    for (let channel = 0; channel < 3; ++channel) pixels[3 * i + channel] = data[4 * i + channel];
  return pixels;
}

// An image whose longest side is `side` pixels, as `crop` takes it: {width, height, rgb, factor}. Cubic; what is made
// smaller is averaged.
export function atSide(image, side) {
  const {width, height} = image, factor = side / Math.max(width, height);
  const [turned, columns] = resized(rgbOf(image), height, width, Math.max(factor, 1 / width));
  const [rgb, rows] = resized(turned, columns, height, Math.max(factor, 1 / height));
  return {width: columns, height: rows, rgb: rgb.map((value) => Math.min(255, Math.max(0, value))), factor};
}

// [(columns * factor, rows) pixels, columns * factor]: resized along the rows, and turned.
function resized(pixels, rows, columns, factor) {
  const wanted = Math.max(1, Math.floor(factor * columns + 0.5)), reach = Math.max(1, 1 / factor);
  const turned = new Float32Array(wanted * rows * 3);
  for (let column = 0; column < wanted; ++column) {
    const at = (column + 0.5) / factor - 0.5;
    const first = Math.max(0, Math.ceil(at - 2 * reach)), last = Math.min(columns - 1, Math.floor(at + 2 * reach));
    const weights = [];
    for (let tap = first; tap <= last; ++tap) weights.push(keysCubic(Math.abs(tap - at) / reach));
    const sum = weights.reduce((one, other) => one + other, 0);
    for (let row = 0; row < rows; ++row)
      for (let channel = 0; channel < 3; ++channel) {
        let value = 0;
        weights.forEach((weight, i) => (value += weight * pixels[3 * (row * columns + first + i) + channel]));
        turned[3 * (column * rows + row) + channel] = value / sum;
      }
  }
  return [turned, wanted];
}

// Keys' kernel with a = -0.5.
export const keysCubic = (d) =>
  d <= 1 ? (1.5 * d - 2.5) * d * d + 1 : d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;

// Means of 2x2 pixels, at an odd border of what there is.
function halved(pixels, width, height) {
  const columns = Math.ceil(width / 2), rows = Math.ceil(height / 2);
  const half = new Float32Array(columns * rows * 3);
  for (let row = 0; row < rows; ++row)
    for (let column = 0; column < columns; ++column)
      for (let channel = 0; channel < 3; ++channel) {
        let sum = 0, count = 0;
        for (let y = 2 * row; y < Math.min(2 * row + 2, height); ++y)
          for (let x = 2 * column; x < Math.min(2 * column + 2, width); ++x, ++count)
            sum += pixels[3 * (y * width + x) + channel];
        half[3 * (row * columns + column) + channel] = sum / count;
      }
  return [half, columns, rows];
}

// Runs a compiled LiteRT model on one network box: {keypoints: [x, y, ...] of the box, scores, beliefs}. `litert` is the
// module @litertjs/core.
export async function outputsOf(litert, model, box, spec) {
  // lets the page paint and hear: the model itself stops it
  await new Promise((go) => setTimeout(go));
  const input = new litert.Tensor(box, [1, spec.box_size, spec.box_size, 3]);
  const outputs = await model.run({image: input});
  const read = async (tensor) => {
    const here = await tensor.moveTo('wasm');
    const values = Array.from(here.toTypedArray());
    here.delete();
    return values;
  };
  const [keypoints, scores] = [await read(outputs.keypoints), await read(outputs.scores)];
  const beliefs = await read(outputs.beliefs);
  input.delete();
  return {keypoints, scores, beliefs};
}

// The pose in a box of an image, or of who fills it: {keypoints: [x, y, ...] in image pixels, scores, beliefs, map}.
export async function findPose(litert, model, image, box, spec) {
  const map = networkFromImage(image.width, image.height, box, spec);
  const found = await outputsOf(litert, model, crop(image, map, spec), spec);
  return {...found, keypoints: imageFromNetwork(found.keypoints, map), map};
}
