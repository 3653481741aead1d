// One pose of beliefs averaged over several sizes, as keras_cpm does it: see pose/multiscale.py and pose/codec.py of the
// package.
import {crop, imageFromNetwork, keysCubic, networkFromImage, outputsOf} from './pose.js';

// of keras_cpm/pose/codec.py: beliefs below are noise
export const PEAK_CUT = Math.exp(-4.6052);

// The pose at a place {x, y, height} of an image, which is seen `zooms` times as large: as `findPose`, and `beliefs` and
// `map` are those of zoom 1.
export async function averagedPose(litert, model, image, {x, y, height}, zooms, spec) {
  const half = height / 2, middle = (spec.box_size - 1) / 2;
  const map = networkFromImage(image.width, image.height, [x - half, y - half, x + half, y + half], spec);
  const seen = [];
  for (const zoom of zooms) {
    const shift = (value) => zoom * value + (1 - zoom) * middle;
    const zoomed = {scale: zoom * map.scale, x: shift(map.x), y: shift(map.y)};
    seen.push((await outputsOf(litert, model, crop(image, zoomed, spec), spec)).beliefs);
  }
  const {keypoints, scores} = decode(mergeZooms(seen, zooms, spec), spec.stride / 4, spec.skeleton.parts.length);
  return {keypoints: imageFromNetwork(keypoints, map), scores, beliefs: seen[zooms.indexOf(1)], map};
}

// Beliefs (cells, cells, channels) of one box seen at several zooms, as one (parts, 4 cells, 4 cells): the mean, read by
// cubic interpolation; what a zoom did not see counts 0.
export function mergeZooms(beliefs, zooms, spec) {
  const cells = spec.box_size / spec.stride, fine = 4 * cells, parts = spec.skeleton.parts.length;
  const channels = beliefs[0].length / cells ** 2, merged = new Float32Array(parts * fine * fine);
  zooms.forEach((zoom, number) => {
    const taps = Array.from({length: fine}, (_, i) => tapsOf(i, zoom, cells, spec));
    const across = new Float32Array(cells * fine * parts);
    for (let row = 0; row < cells; ++row)
      for (let x = 0; x < fine; ++x)
        for (const [column, weight] of taps[x])
          for (let part = 0; part < parts; ++part)
            across[(part * cells + row) * fine + x] += weight * beliefs[number][(row * cells + column) * channels + part];
    for (let part = 0; part < parts; ++part)
      for (let y = 0; y < fine; ++y)
        for (const [row, weight] of taps[y])
          for (let x = 0; x < fine; ++x)
            merged[(part * fine + y) * fine + x] += (weight * across[(part * cells + row) * fine + x]) / zooms.length;
  });
  return merged;
}

// [[cell, weight], ...] of a zoomed box for a fine cell of the box itself.
function tapsOf(i, zoom, cells, {box_size, stride}) {
  const middle = (box_size - 1) / 2, network = (i * stride) / 4 + (stride / 4 - 1) / 2;
  const at = ((network - middle) * zoom + middle - (stride - 1) / 2) / stride;
  if (at < -0.5 || at > cells - 0.5) return [];
  const first = Math.floor(at) - 1;
  return [0, 1, 2, 3].map((tap) => [
    Math.min(cells - 1, Math.max(0, first + tap)),
    keysCubic(Math.abs(first + tap - at)),
  ]);
}

// {keypoints: [x, y, ...] of the box, scores} of beliefs (parts, cells, cells): the highest cell, moved by at most half a
// cell to the top of the parabola through the logarithms.
export function decode(beliefs, stride, parts) {
  const side = Math.sqrt(beliefs.length / parts), keypoints = [], scores = [];
  for (let part = 0; part < parts; ++part) {
    const map = beliefs.subarray(part * side * side, (part + 1) * side * side);
    const best = map.reduce((highest, value, i) => (value > map[highest] ? i : highest), 0);
    const [row, column] = [Math.floor(best / side), best % side];
    const log = (y, x) => Math.log(Math.max(PEAK_CUT, map[mirrored(y, side) * side + mirrored(x, side)]));
    const along = (before, after) => top(before, log(row, column), after);
    const x = column + along(log(row, column - 1), log(row, column + 1));
    const y = row + along(log(row - 1, column), log(row + 1, column));
    keypoints.push(x * stride + (stride - 1) / 2, y * stride + (stride - 1) / 2);
    scores.push(map[best]);
  }
  return {keypoints, scores};
}

const mirrored = (i, length) => Math.max(0, length - 1 - Math.abs(length - 1 - Math.abs(i)));

function top(before, middle, after) {
  const curvature = before - 2 * middle + after;
  return curvature < -1e-6 ? Math.min(0.5, Math.max(-0.5, (0.5 * (before - after)) / curvature)) : 0;
}
