// Everybody in a photograph: the person network says where somebody might be, the pose network, which looks closer,
// whether anybody is there. As keras_cpm does it: see pose/search.py of the package, which says why.
import {averagedPose} from './average.js';
import {atSide, crop, findPose, imageFromNetwork, keysCubic, outputsOf} from './pose.js';

// of keras_cpm/models/person.py
export const ZOOMS = [0.35, 0.5, 0.71, 1.0, 1.41, 2.0], POSSIBLE = 0.1, THRESHOLD = 0.45, MOST_PEOPLE = 20;
// of keras_cpm/pose/lattice.py
export const STEP = Math.SQRT2, CELL = 1 / 6;
// of keras_cpm/pose/search.py
export const SIDE = 1024, FIRST = [0.5, 1 / Math.SQRT2, 1, Math.SQRT2], THEN = [1 / Math.SQRT2, 1, Math.SQRT2];
export const LAST = [0.85, 1.0, 1.18], MOST_PLACES = 120, WORTH_A_LOOK = 0.5;
export const SURE = 0.25, SAME_PARTS = 0.4, SAME_PLACE = 0.1, NEAR = 0.4;
// of keras_cpm/inference/tracking.py
export const FOLLOWED = {SURE: 0.3, ENOUGH: 0.35, SPAN: 1.04, FOLLOWS: 0.15};

// Where people might be, the surest first: [{x, y, height, belief}], image pixels. `model` is a compiled person network.
export async function findPeople(litert, model, image, spec) {
  const places = [], side = spec.box_size / spec.stride, seen = atSide(image, SIDE);
  for (const zoom of ZOOMS) {
    const {map, rows, columns} = wholeImage(sizeIn(seen, image), zoom, spec);
    const beliefs = await stitch(rows, columns, side, async (top, left) => {
      const tile = {scale: map.scale, x: map.x - left * spec.stride, y: map.y - top * spec.stride};
      return (await outputsOf(litert, model, crop(seen, tile, spec), spec)).beliefs;
    });
    places.push(...placesInZoom(beliefs, rows, columns, image, zoom, spec));
  }
  return surestPlaces(places);
}

// Everybody's pose, the surest first: what `findPose` returns, and {score, box, x, y, height}.
export async function findPoses(litert, model, image, places, spec) {
  const seen = atSide(image, SIDE), {factor} = seen;
  const look = (place) => poseAt(litert, model, seen, place, spec);
  const lookClosely = (place) => averagedPose(litert, model, seen, place, LAST, spec);
  const people = await everybody(look, lookClosely, places.map((place) => scaled(place, factor)), sizeIn(seen, image));
  return people.map((pose) => scaled({...pose, box: boxAround(pose)}, 1 / factor));
}

// The size of the whole image in pixels of `atSide`, which has no parts of pixels.
const sizeIn = ({factor}, {width, height}) => ({width: factor * width, height: factor * height});

// A place, or a pose, in an image `factor` times as large.
function scaled({x, y, height, keypoints, box, map, ...rest}, factor) {
  const position = (value) => factor * (value + 0.5) - 0.5;
  const place = {...rest, x: position(x), y: position(y), height: factor * height};
  if (!keypoints) return place;
  const shift = map.scale * (0.5 / factor - 0.5);
  map = {scale: map.scale / factor, x: map.x + shift, y: map.y + shift};
  return {...place, keypoints: keypoints.map(position), box: box.map(position), map};
}

// The pose at one place {x, y, height}.
export function poseAt(litert, model, image, {x, y, height}, spec) {
  const half = height / 2;
  return findPose(litert, model, image, [x - half, y - half, x + half, y + half], spec);
}

// {map, rows, columns}: how the image is seen at a zoom, and the belief cells of all of it.
export function wholeImage({width, height}, zoom, spec) {
  const pixels = Math.round(zoom * spec.box_size), scale = pixels / height, shift = scale / 2 - 0.5;
  const columns = Math.max(1, Math.ceil((scale * width) / spec.stride - 1e-4));
  return {map: {scale, x: shift, y: shift}, rows: Math.ceil(pixels / spec.stride), columns};
}

// First cells of tiles of `side` cells along an axis, from end to end, which overlap by a third or more.
export function tilesOf(cells, side) {
  const shared = Math.floor(side / 3), steps = Math.max(0, Math.ceil((cells - side) / (side - shared)));
  return Array.from({length: steps + 1}, (_, i) => Math.round((i * (cells - side)) / Math.max(1, steps)));
}

// One belief map (rows, columns) of tiles: each cell of the tile whose middle is nearest. `look` gives the beliefs of
// the tile at a first row and column.
export async function stitch(rows, columns, side, look) {
  const tops = tilesOf(rows, side), lefts = tilesOf(columns, side);
  const nearest = (firsts, cell) => {
    const far = (first) => Math.abs(first + (side - 1) / 2 - cell);
    return firsts.reduce((best, first) => (far(first) < far(best) ? first : best));
  };
  const map = new Float32Array(rows * columns);
  for (const top of tops)
    for (const left of lefts) {
      const beliefs = await look(top, left);
      for (let row = 0; row < rows; ++row)
        for (let column = 0; column < columns; ++column)
          if (nearest(tops, row) === top && nearest(lefts, column) === left)
            map[row * columns + column] = beliefs[(row - top) * side + column - left];
    }
  return map;
}

// The places that a belief map of one zoom marks.
export function placesInZoom(beliefs, rows, columns, image, zoom, spec) {
  const {map} = wholeImage(image, zoom, spec);
  const height = (image.height * spec.person_height) / (spec.box_size * zoom);
  return findPeaks(beliefs, rows, columns, spec.stride, POSSIBLE).map(({x, y, belief}) => {
    [x, y] = imageFromNetwork([x, y], map);
    return {x, y, height, belief};
  });
}

// Every local maximum of a belief map, enlarged to network pixels by one cubic step, the highest first: [{x, y, belief}].
export function findPeaks(beliefs, rows, columns, stride, threshold) {
  const width = columns * stride, height = rows * stride;
  const values = enlarged(enlarged(beliefs, rows, columns, stride), columns, height, stride);
  const peaks = [];
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x) {
      const belief = values[y * width + x];
      if (belief > threshold && isPeak(values, width, height, x, y)) peaks.push({x, y, belief});
    }
  return peaks.sort((one, other) => other.belief - one.belief);
}

// Whether no neighbour is higher; of equal ones the first in row order is the peak.
function isPeak(values, width, height, x, y) {
  const here = values[y * width + x];
  for (let dy = -1; dy <= 1; ++dy)
    for (let dx = -1; dx <= 1; ++dx) {
      if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
      const other = values[(y + dy) * width + x + dx];
      if (other > here || (other === here && 3 * dy + dx < 0)) return false;
    }
  return true;
}

// (rows, columns) values as (columns, rows * stride): turned, and enlarged along the rows by Keys' cubic.
function enlarged(values, rows, columns, stride) {
  const length = rows * stride, long = new Float64Array(columns * length);
  for (let pixel = 0; pixel < length; ++pixel) {
    const at = (pixel - (stride - 1) / 2) / stride, first = Math.floor(at) - 1;
    for (let tap = first; tap < first + 4; ++tap) {
      const weight = keysCubic(Math.abs(tap - at)), row = Math.min(rows - 1, Math.max(0, tap));
      for (let column = 0; column < columns; ++column)
        long[column * length + pixel] += weight * values[row * columns + column];
    }
  }
  // what is level stays level
  return Float32Array.from(long);
}

// Of what several zooms find near each other the surest; two of one zoom are two maxima of one map.
export function surestPlaces(places) {
  const same = (one, other) =>
    one.height !== other.height &&
    Math.hypot(one.x - other.x, one.y - other.y) <= NEAR * Math.max(one.height, other.height);
  return suppress(places, (place) => place.belief, same);
}

// The poses of everybody, by `look`, which gives the pose {keypoints, scores} at a place {x, y, height}, and `lookClosely`,
// which gives the averaged one.
export async function everybody(look, lookClosely, places, image, threshold = THRESHOLD, most = MOST_PEOPLE) {
  let people = places.slice(0, MOST_PLACES).map((place) => onLattice(place, image));
  for (const factors of [FIRST, THEN]) {
    const seen = [];
    for (const place of people) seen.push(await surestLook(look, place, factors, image));
    const middles = apart(seen, WORTH_A_LOOK * threshold).map((pose) => ({...middleOf(boxAround(pose)), height: pose.height}));
    people = middles.map((place) => onLattice(place, image));
  }
  const last = [];
  for (const place of people) {
    const pose = await lookClosely(place);
    last.push({...pose, ...place, score: personScore(pose, image)});
  }
  return apart(last, threshold).slice(0, most);
}

// The nearest of the places at which one looks, the same ones in a photograph of any resolution.
function onLattice({x, y, height, ...rest}, image) {
  const tall = image.height * STEP ** Math.round(Math.log(height / image.height) / Math.log(STEP)), side = CELL * tall;
  const middle = (value) => (Math.floor((value + 0.5) / side) + 0.5) * side - 0.5;
  return {...rest, x: middle(x), y: middle(y), height: tall};
}

// Of the poses at one place in several sizes the surest, with its {score, x, y, height}.
async function surestLook(look, {x, y, height}, factors, image) {
  let best = null;
  for (const factor of factors) {
    const place = {x, y, height: height * factor}, pose = await look(place);
    const score = personScore(pose, image);
    if (!best || score > best.score) best = {...pose, ...place, score};
  }
  return best;
}

// Those above the threshold, the surest first, and nobody twice.
function apart(poses, threshold) {
  const sure = (pose, i) => pose.scores[i] >= SURE;
  const same = (pose, surer) => {
    const near = SAME_PLACE * Math.max(pose.height, surer.height);
    let shared = 0, count = 0;
    for (let i = 0; i < pose.scores.length; ++i) {
      if (!sure(pose, i)) continue;
      const [x, y] = [0, 1].map((axis) => pose.keypoints[2 * i + axis] - surer.keypoints[2 * i + axis]);
      count += 1;
      shared += sure(surer, i) && Math.hypot(x, y) < near;
    }
    return shared >= SAME_PARTS * Math.max(1, count);
  };
  return suppress(poses.filter(({score}) => score > threshold), (pose) => pose.score, same);
}

// Rows in the order of their scores, without those who are the same as a surer one.
function suppress(rows, score, same) {
  const kept = [];
  for (const row of [...rows].sort((one, other) => score(other) - score(one)))
    if (!kept.some((surer) => same(row, surer))) kept.push(row);
  return kept;
}

// How sure it is that a pose is a person's: the mean score of all parts; those outside the image count 0.
export function personScore({keypoints, scores}, {width, height}) {
  const inside = (i, length) => keypoints[i] >= -0.5 && keypoints[i] <= length - 0.5;
  return scores.reduce((sum, score, i) => sum + (inside(2 * i, width) && inside(2 * i + 1, height) ? score : 0), 0) / scores.length;
}

// [x0, y0, x1, y1] around the parts that are as sure as `sure`, or the surest one.
export function boxAround({keypoints, scores}, sure = SURE) {
  const least = Math.min(sure, Math.max(...scores));
  const along = (axis) => keypoints.filter((_, i) => i % 2 === axis && scores[i >> 1] >= least);
  const [x, y] = [along(0), along(1)];
  return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
}

const middleOf = ([x0, y0, x1, y1]) => ({x: (x0 + x1) / 2, y: (y0 + y1) / 2});

// Where to look for a person in the next frame of a camera; null: it is lost. `before` is the height so far, if known.
export function nextPlace({keypoints, scores}, before) {
  const {SURE, ENOUGH, SPAN, FOLLOWS} = FOLLOWED;
  if (scores.filter((score) => score >= SURE).length < ENOUGH * scores.length) return null;
  const [x0, y0, x1, y1] = boxAround({keypoints, scores}, SURE);
  const now = Math.max(x1 - x0, y1 - y0) / SPAN;
  const height = before ? before + FOLLOWS * (now - before) : now;
  return {...middleOf([x0, y0, x1, y1]), height: Math.max(height, 1)};
}
