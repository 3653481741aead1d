"""The page in `examples/web`: its crop against ours, and its keypoints in headless Chromium."""

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

import keras_cpm
from keras_cpm.images import sampling
from keras_cpm.pose import geometry

WEB = Path(__file__).parents[2] / "examples/web"
NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

CROP = """
import {crop, imageFromNetwork, networkFromImage} from 'POSE';
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const answers = JSON.parse(Buffer.concat(chunks)).map(({width, height, data, box, spec}) => {
  const image = {width, height, data: Buffer.from(data, 'base64')};
  const map = networkFromImage(width, height, box, spec);
  const points = imageFromNetwork([3, 4, 50, 9], map);
  return {map, points, crop: Buffer.from(crop(image, map, spec).buffer).toString('base64')};
});
console.log(JSON.stringify(answers));
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


@pytest.mark.skipif(not NODE, reason="no node here")
def test_the_crop_is_ours():
    spec = keras_cpm.PoseSpec(box_size=64, person_height=50.0)
    fields = json.loads(spec.to_json())
    random, cases = np.random.default_rng(0), []
    for size, box in CASES:
        pixels = random.integers(0, 256, (*size, 4), np.uint8)
        data = base64.b64encode(pixels.tobytes()).decode()
        height, width = size
        cases.append({"width": width, "height": height, "data": data, "box": box, "spec": fields})
    script = CROP.replace("POSE", (WEB / "pose.js").as_uri())
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", script],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    for case, answer in zip(cases, json.loads(done.stdout), strict=True):
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


@pytest.mark.skipif(
    not (NODE and CHROMIUM and (WEB / "vendor").is_dir() and (WEB / "node_modules").is_dir()),
    reason="needs node, chromium, and in examples/web: npm install && npm run build",
)
def test_the_page_gives_the_predictors_points(tmp_path):
    model, spec = keras_cpm.load("cpm-light-lsp")  # which is sure of drawn people
    site = tmp_path / "site"
    shutil.copytree(WEB, site, ignore=shutil.ignore_patterns("node_modules", "model"))
    keras_cpm.export_tflite(model, spec, site / "model/cpm.tflite")
    people = keras_cpm.draw_records(site / "people", 3, others=0, occluders=0)
    serve = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("localhost", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://localhost:{server.server_port}"
    images = [f"{url}/people/{Path(record.image).name}" for record in people]
    try:
        done = subprocess.run(
            [NODE, "browser.js", f"{url}/index.html", str(tmp_path / "page.png"), *images],
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
    predictor, sure = keras_cpm.Predictor(model, spec), 0
    for record, line in zip(people, done.stdout.splitlines(), strict=True):
        answer, pose = json.loads(line), predictor(record.image)
        chosen = pose.scores >= 0.3
        moved = np.reshape(answer["keypoints"], (-1, 2)) - pose.keypoints
        assert np.abs(moved)[chosen].max() < 0.5
        np.testing.assert_allclose(answer["scores"], pose.scores, atol=0.02)
        sure += chosen.sum()
    assert sure >= 20 and (tmp_path / "page.png").stat().st_size > 10_000
