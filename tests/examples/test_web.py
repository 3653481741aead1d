"""The page in `examples/web`: its crop against ours, and what it finds in headless Chromium."""

import base64
import functools
import http.server
import json
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_cpm
from keras_cpm.images import sampling
from keras_cpm.inference.people import find_poses
from keras_cpm.inference.person_finder import find_people
from keras_cpm.models import person
from keras_cpm.pose import geometry

WEB = Path(__file__).parents[2] / "examples/web"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

CROP = """
const answer = ({width, height, data, box, spec}) => {
  const image = {width, height, data: Buffer.from(data, 'base64')};
  const map = networkFromImage(width, height, box, spec);
  const points = imageFromNetwork([3, 4, 50, 9], map);
  return {map, points, crop: Buffer.from(crop(image, map, spec).buffer).toString('base64')};
};
"""

# (height, width) and box: as it is, halved once and twice with odd sides, magnified, over the edge
CASES = [
    ((60, 90), None),
    ((301, 203), None),
    ((333, 517), None),
    ((301, 203), (20.5, 10.25, 120.0, 280.0)),
    ((60, 90), (30.0, 20.0, 40.0, 35.0)),
    ((80, 50), (-40.0, 30.0, 30.0, 200.0)),
    ((1, 3), None),
]


needs_node = pytest.mark.skipif(not NODE, reason="no node here")
needs_chromium = pytest.mark.skipif(
    not (NODE and CHROMIUM and (WEB / "vendor").is_dir() and (WEB / "node_modules").is_dir()),
    reason="needs node, chromium, and in examples/web: npm install && npm run build",
)


def mapped(script, cases):
    """What the function `answer` of a script, which may use those of the page, gives for cases."""
    names = ("pose", "people", "average")
    pages = [f"const {n} = await import('{(WEB / f'{n}.js').as_uri()}');" for n in names]
    head = (
        "".join(pages) + "const {atSide, crop, imageFromNetwork, networkFromImage} = pose;"
        "const {everybody, findPeaks, nextPlace, placesInZoom, stitch, surestPlaces} = people;"
        "const {decode, mergeZooms} = average;"
    )
    tail = """
      const chunks = [];
      for await (const chunk of process.stdin) chunks.push(chunk);
      const answers = [];
      for (const one of JSON.parse(Buffer.concat(chunks))) answers.push(await answer(one));
      console.log(JSON.stringify(answers));
    """
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", head + script + tail],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("size", [(60, 90), (301, 203), (128, 40), (1, 300), (7, 5)])
def test_the_resized_image_is_ours(size):
    """Smaller, larger, as it is, and where a side becomes less than a pixel."""
    script = """
    const answer = (image) => {
      const {width, height, rgb} = atSide({...image, data: Buffer.from(image.data, 'base64')}, 128);
      return [height, width, ...rgb];
    };
    """
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 4), np.uint8)
    data = base64.b64encode(pixels.tobytes()).decode()
    (answer,) = mapped(script, [{"width": size[1], "height": size[0], "data": data}])
    ours, _ = sampling.at_side(pixels[..., :3], np.eye(3, dtype=np.float32), 128)
    assert answer[:2] == ours.shape[:2]
    np.testing.assert_allclose(np.reshape(answer[2:], ours.shape), ours, atol=0.01)


@needs_node
def test_the_crop_is_ours():
    spec = keras_cpm.PoseSpec(box_size=64, person_height=50.0)
    fields = json.loads(spec.to_json())
    random, cases = np.random.default_rng(0), []
    for size, box in CASES:
        pixels = random.integers(0, 256, (*size, 4), np.uint8)
        data = base64.b64encode(pixels.tobytes()).decode()
        height, width = size
        cases.append({"width": width, "height": height, "data": data, "box": box, "spec": fields})
    for case, answer in zip(cases, mapped(CROP, cases), strict=True):
        size, box = (case["height"], case["width"]), case["box"]
        matrix = (
            geometry.network_from_box(box, spec) if box else geometry.network_from_size(size, spec)
        )
        found = [answer["map"][key] for key in ("scale", "x", "y")]
        np.testing.assert_allclose(
            found, matrix.numpy()[[0, 0, 1], [0, 2, 2]], rtol=1e-5, atol=1e-4
        )
        points = geometry.apply(geometry.invert(matrix), [[3, 4], [50, 9]]).numpy().ravel()
        np.testing.assert_allclose(answer["points"], points, atol=1e-2)
        pixels = np.frombuffer(base64.b64decode(case["data"]), np.uint8).reshape(*size, 4)[..., :3]
        ours = sampling.crop(pixels, np.eye(3, dtype=np.float32), matrix, spec)
        theirs = np.frombuffer(base64.b64decode(answer["crop"]), np.float32).reshape(64, 64, 3)
        np.testing.assert_allclose(theirs, ours, atol=0.05)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """`python -m http.server` without its log."""

    def log_message(self, *_):
        """Says nothing."""


def shown(site, names, screenshot):
    """What the page finds in pictures of its folder."""
    serve = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("localhost", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://localhost:{server.server_port}"
    try:
        done = subprocess.run(
            [NODE, "browser.js", f"{url}/", str(screenshot), *[f"{url}/{name}" for name in names]],
            cwd=WEB,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert screenshot.stat().st_size > 10_000
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page with a network that is sure of drawn people, and none that finds them."""
    site = tmp_path_factory.mktemp("web") / "site"
    shutil.copytree(WEB, site, ignore=shutil.ignore_patterns("node_modules", "model"))
    keras_cpm.export_tflite(*keras_cpm.load("cpm-light-lsp"), site / "model/cpm.tflite")
    return site


@needs_chromium
def test_the_page_gives_the_predictors_points(site, tmp_path):
    people = keras_cpm.draw_records(site / "people", 3, others=0, occluders=0)
    names = [f"people/{Path(record.image).name}" for record in people]
    answers = shown(site, names, tmp_path / "page.png")
    predictor, sure = keras_cpm.Predictor(*keras_cpm.load("cpm-light-lsp")), 0
    for record, answer in zip(people, answers, strict=True):
        ((found,), pose) = answer["people"], predictor(record.image)
        chosen = pose.scores >= 0.3
        moved = np.reshape(found["keypoints"], (-1, 2)) - pose.keypoints
        assert np.abs(moved)[chosen].max() < 0.5
        np.testing.assert_allclose(found["scores"], pose.scores, atol=0.02)
        sure += chosen.sum()
    assert sure >= 20


@needs_chromium
@pytest.mark.slow
def test_the_page_finds_everybody(site, tmp_path):
    """Tiles see other edges than whole photographs, so a place may move, and with it the size in
    which a pose is seen best. So: the same people, and at the same places the same poses.
    """
    drawn = keras_cpm.draw_records(tmp_path / "drawn", 20, others=0, occluders=0)
    row = [np.asarray(Image.open(drawn[i].image)) for i in (19, 2, 17)]
    picture = np.pad(np.concatenate(row, axis=1), ((120, 160), (0, 0), (0, 0)), constant_values=128)
    site = shutil.copytree(site, tmp_path / "site")
    Image.fromarray(picture).save(site / "three.png")
    finder = dict(zip(("model", "spec"), keras_cpm.load("cpm-light-person"), strict=True))
    keras_cpm.export_tflite(*finder.values(), site / "model/person.tflite")
    (answer,) = shown(site, ["three.png"], tmp_path / "page.png")

    predictor = keras_cpm.Predictor(*keras_cpm.load("cpm-light-lsp"))
    limits = {"threshold": person.POSSIBLE, "zooms": person.ZOOMS}
    same = find_poses(picture, predictor, functools.partial(find_people, **finder, **limits))
    columns = [sorted(np.median(one.pose.keypoints[:, 0]) for one in same)]
    columns.append(sorted(np.median(one["keypoints"][::2]) for one in answer["people"]))
    assert len(same) == 3 and np.abs(np.subtract(*columns)).max() < 15

    places = [
        {"center": (one["x"], one["y"]), "person_height": one["height"]} for one in answer["places"]
    ]
    ours = find_poses(picture, predictor, lambda photograph: places)
    for one, found in zip(ours, answer["people"], strict=True):
        sure = one.pose.scores >= 0.3
        moved = np.reshape(found["keypoints"], (-1, 2)) - one.pose.keypoints
        assert sure.sum() >= 10 and np.abs(moved)[sure].max() < 0.1
        assert found["score"] == pytest.approx(one.score, abs=0.02)
