// The page: photographs and the camera in, skeletons and belief maps out.
import * as litert from '@litertjs/core';
import {findPeople, findPoses, nextPlace, personScore, poseAt} from './people.js';
import {findPose} from './pose.js';

const $ = (id) => document.getElementById(id);
const say = (text) => ($('said').textContent = text);
const view = $('view');
const draw = view.getContext('2d');
// Okabe and Ito's blue and orange, which colour-blind people tell apart; black for the middle
const COLORS = {left: '#0072b2', right: '#e69f00', '': '#009e73'};
const SURE = 0.3;
// a camera waits for an answer: so many of the surest places are looked at
const QUICK = 3;

let model, spec, personModel = null, personSpec, picture = null, people = [], searches = 0;
let box = null, dragged = null, camera = null, followed = null;

async function start() {
  await litert.loadLiteRt('vendor/core/wasm/');
  [model, spec] = await load('cpm');
  // without it, one person fills the picture
  if ((await fetch('model/person.spec.json')).ok) [personModel, personSpec] = await load('person');
  else $('alone').hidden = false;
  spec.skeleton.parts.forEach((part, i) => $('part').add(new Option(`belief in ${part.replaceAll('_', ' ')}`, i)));
  say('Ready.');
}

async function load(name) {
  const found = await (await fetch(`model/${name}.spec.json`)).json();
  return [await litert.loadAndCompile(`model/${name}.tflite`, {accelerator: 'wasm'}), found];
}

// An ImageData, upright: browsers turn photographs by their EXIF data.
async function pixelsOf(source) {
  const bitmap = await createImageBitmap(source);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

export async function show(source) {
  picture = await pixelsOf(source);
  return look();
}

// Finds who is in the picture, or in the box: {people, places, milliseconds}, the surest first.
async function look() {
  const search = ++searches, start = performance.now();
  if (!camera) {
    people = [];
    say('Looking …');
    paint();
  }
  const found = await peopleIn(picture);
  // somebody did not wait for the answer
  if (search !== searches) return null;
  ({people} = found);
  const milliseconds = performance.now() - start;
  say(`${peopleInWords()}, ${milliseconds.toFixed(0)} ms, ${picture.width} x ${picture.height} pixels`);
  paint();
  return {...found, milliseconds};
}

async function peopleIn(image) {
  const one = (pose) => ({people: [{...pose, score: personScore(pose, image)}], places: []});
  if (box || !personModel) return one(await findPose(litert, model, image, box, spec));
  if (camera) {
    // where the person was, or who fills the picture: a fiftieth of the time of a search for everybody
    const pose = await (followed ? poseAt(litert, model, image, followed, spec) : findPose(litert, model, image, null, spec));
    followed = nextPlace(pose, followed?.height);
    if (followed) return one(pose);
  }
  const places = await findPeople(litert, personModel, image, personSpec);
  if (!camera) return {people: await findPoses(litert, model, image, places, spec), places};
  const [surest] = await findPoses(litert, model, image, places.slice(0, QUICK), spec);
  followed = surest ? nextPlace(surest, surest.height) : null;
  return {people: surest ? [surest] : [], places};
}

function peopleInWords() {
  if (!people.length) return 'Nobody found';
  const scores = people.map(({score}) => score.toFixed(2)).join(', ');
  return `${people.length} ${people.length === 1 ? 'person' : 'people'} (${scores})`;
}

function paint() {
  if (!picture) return;
  if (view.width !== picture.width || view.height !== picture.height) {
    view.width = picture.width;
    view.height = picture.height;
  }
  draw.putImageData(picture, 0, 0);
  const part = Number($('part').value);
  if (part < 0) people.forEach(paintSkeleton);
  else if (people.length) paintBelief(part, people[0]);
  const shown = dragged ?? box;
  if (shown) {
    draw.strokeStyle = '#fff';
    draw.lineWidth = Math.max(1, view.height / 300);
    draw.strokeRect(shown[0], shown[1], shown[2] - shown[0], shown[3] - shown[1]);
  }
}

const sideOf = (part) => ['left', 'right'].find((side) => part.includes(side)) ?? '';

function paintSkeleton({keypoints, scores}) {
  const {parts, limbs} = spec.skeleton;
  const at = (part) => 2 * parts.indexOf(part);
  const sure = (part) => scores[parts.indexOf(part)] >= SURE;
  draw.lineWidth = Math.max(2, view.height / 100);
  draw.lineCap = 'round';
  for (const [from, to] of limbs.filter(([from, to]) => sure(from) && sure(to))) {
    draw.strokeStyle = COLORS[sideOf(to) || sideOf(from)];
    draw.beginPath();
    draw.moveTo(keypoints[at(from)], keypoints[at(from) + 1]);
    draw.lineTo(keypoints[at(to)], keypoints[at(to) + 1]);
    draw.stroke();
  }
}

// The cells of one part of a person as squares, where they are in the picture.
function paintBelief(part, {beliefs, map}) {
  const cells = spec.box_size / spec.stride, channels = beliefs.length / cells ** 2;
  const {scale, x, y} = map, side = spec.stride / scale;
  for (let row = 0; row < cells; ++row)
    for (let column = 0; column < cells; ++column) {
      const belief = beliefs[(row * cells + column) * channels + part];
      draw.fillStyle = `rgba(230, 30, 30, ${0.8 * Math.min(1, Math.max(0, belief))})`;
      draw.fillRect((column * spec.stride - 0.5 - x) / scale, (row * spec.stride - 0.5 - y) / scale, side, side);
    }
}

// Errors are said where people look, in one sentence.
const careful = (task) => (...given) => task(...given).catch((error) => say(`This did not work: ${error.message ?? error}`));
const open = careful(async (file) => {
  stopCamera();
  box = null;
  if (file) await show(file);
});

function stopCamera() {
  camera?.getTracks().forEach((track) => track.stop());
  camera = followed = null;
  $('camera').textContent = 'Use the camera';
}

const useCamera = careful(async () => {
  if (camera) return stopCamera();
  camera = await navigator.mediaDevices.getUserMedia({video: {width: 640}});
  $('camera').textContent = 'Stop the camera';
  const video = document.createElement('video');
  video.srcObject = camera;
  box = null;
  await video.play();
  say('Looking …');
  while (camera) {
    await show(video);
    await new Promise(requestAnimationFrame);
  }
});

// Position in the picture of a pointer on the page.
function position(event) {
  const place = view.getBoundingClientRect();
  return [
    ((event.clientX - place.left) * view.width) / place.width - 0.5,
    ((event.clientY - place.top) * view.height) / place.height - 0.5,
  ];
}

const again = careful(async () => {
  followed = null;
  // a camera's next frame comes by itself
  if (picture && !camera) await look();
});

$('file').addEventListener('change', (event) => open(event.target.files[0]));
$('camera').addEventListener('click', useCamera);
$('part').addEventListener('change', paint);
for (const kind of ['dragover', 'dragleave', 'drop'])
  $('drop').addEventListener(kind, (event) => {
    event.preventDefault();
    $('drop').classList.toggle('over', kind === 'dragover');
    if (kind === 'drop') open(event.dataTransfer.files[0]);
  });
view.addEventListener('pointerdown', (event) => {
  if (!picture) return;
  view.setPointerCapture(event.pointerId);
  dragged = [...position(event), ...position(event)];
});
view.addEventListener('pointermove', (event) => {
  if (!dragged) return;
  dragged.splice(2, 2, ...position(event));
  paint();
});
view.addEventListener('pointerup', () => {
  const [x0, y0, x1, y1] = dragged ?? [];
  dragged = null;
  // a click is no box
  if (Math.abs(x1 - x0) > 8 && Math.abs(y1 - y0) > 8) {
    box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
    again();
  }
});
view.addEventListener('dblclick', () => {
  box = null;
  again();
});

export const ready = careful(start)();
