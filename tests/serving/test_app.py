"""The page of `keras-cpm app`: its answers, its API, and the page itself in headless Chromium."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.images import limits, marks
from keras_cpm.inference.person_finder import load_finder
from keras_cpm.models.person import PERSON1
from keras_cpm.serving.app import launch_app, look
from tests.cli.running import run
from tests.inference.glows import person_network, photograph

WEB = Path(__file__).parents[2] / "examples/web"
NODE, CHROMIUM = shutil.which("node"), shutil.which("chromium") or shutil.which("google-chrome")

# Chooses files on the page, one after the other, and saves what it offers of the first. Prints what
# the page says of each, and addresses elsewhere that it asked for.
BROWSER = """
const {chromium} = await import('playwright-core');
const [url, executablePath, folder, ...files] = process.argv.slice(1);
const quiet = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];
const browser = await chromium.launch({executablePath, args: quiet});
const page = await browser.newPage({viewport: {width: 1200, height: 1000}});
const said = [], outside = [];
page.on('request', (request) => {
  if (/^http/.test(request.url()) && !request.url().startsWith(url)) outside.push(request.url());
});
page.setDefaultTimeout(120000);
for (const file of files) {
  await page.goto(url);
  await page.setInputFiles('input[type=file]', file);
  const answer = page.getByText(/score of|was found|cannot be|exceed/).first();
  said.push(await answer.innerText());
  if (said.length > 1) continue;
  await page.getByAltText('The beliefs of each stage').waitFor();
  await page.screenshot({path: `${folder}/page.png`, fullPage: true});
  const download = page.waitForEvent('download');
  await page.getByText('Download as JSON').click();
  await (await download).saveAs(`${folder}/poses.json`);
}
console.log(JSON.stringify({said, outside}));
await browser.close();
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs, a network that is sure of every pose, and one that sees people in red."""
    folder = tmp_path_factory.mktemp("app")
    keras.utils.set_random_seed(1)
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    model.get_layer("Mconv6_stage2").bias.assign([0.8] * spec.num_channels)
    keras_cpm.save_bundle(folder / "pose", model, spec)
    finds = keras_cpm.PoseSpec(PERSON1, background=False, pad_value=0)
    keras_cpm.save_bundle(folder / "person", person_network(finds), finds)
    glows = photograph([(60, 90), (150, 40)])
    cv2.imwrite(str(folder / "two people.png"), glows[..., ::-1])
    cv2.imwrite(str(folder / "dark.png"), np.zeros((90, 120, 3), np.uint8))
    (folder / "cut.png").write_bytes((folder / "two people.png").read_bytes()[:200])
    with (folder / "huge.png").open("wb") as file:
        file.truncate(110_000_000)
    return folder


@pytest.fixture(scope="module")
def networks(folder):
    """A predictor, and who finds people for it."""
    return keras_cpm.Predictor(*keras_cpm.load(folder / "pose")), load_finder(folder / "person")


@pytest.fixture(scope="module")
def page(networks):
    """The page, and a client of its API."""
    pytest.importorskip("gradio_client", reason="needs gradio: pip install 'keras-cpm[app]'")
    from gradio_client import Client

    page = launch_app(*networks)
    yield page, Client(page.local_url, verbose=False)
    page.close()


@pytest.fixture(scope="module")
def predicted(folder):
    """What `keras-cpm predict --json` writes of the two people."""
    networks = ["--model", folder / "pose", "--person-model", folder / "person"]
    path, image = folder / "predicted.json", folder / "two people.png"
    run("predict", image, "--people", "auto", *networks, "--json", path)
    (entry,) = json.loads(path.read_text()).values()
    assert len(entry["people"]) == 2
    return {"two people.png": entry}


def test_the_strip_shows_what_the_later_stages_made_surest(networks):
    answer = look(photograph([(60, 90)]), *networks)
    assert answer.said.startswith("One person with a score of 0.7")
    # enlarged as every drawing; two panels of 256 pixels, their titles, and the name of the part
    assert answer.poses.shape == (368, 600, 3) and answer.stages.shape == (288, 548, 3)


def test_a_photograph_that_is_too_large_costs_a_sentence(networks):
    declared = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + 2 * (99_999).to_bytes(4, "big") + bytes(60)
    assert limits.PIXELS in look(declared, *networks).said

    def no_memory(pixels):
        raise MemoryError

    answer = look(np.zeros((8, 8, 3)), networks[0], no_memory)
    assert "not enough memory" in answer.said and answer.found is None


def test_without_gradio_a_sentence_says_what_to_install(networks, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[app\]'"):
        launch_app(*networks)


def test_the_api_gives_what_predict_writes(page, folder, predicted):
    from gradio_client import handle_file

    ask = page[1].predict
    said, poses, stages, download = ask(handle_file(folder / "two people.png"), 0.55)
    assert said.startswith("2 people, the surest with a score of 0.8")
    assert cv2.imread(poses).shape == (368, 600, 3) and cv2.imread(stages) is not None
    assert json.loads(Path(download["value"]).read_text()) == predicted
    assert marks.is_ours(download["value"])
    said, *pictures, download = ask(handle_file(folder / "two people.png"), 0.95)
    assert said.startswith("Nobody was found") and pictures == [None, None]
    (entry,) = json.loads(Path(download["value"]).read_text()).values()
    assert entry == {"size": [184, 300], "people": []}
    said, *_, download = ask(None, 0.55)
    assert said.startswith("Choose a photograph") and download["value"] is None


@pytest.mark.parametrize("marked", [True, False])
def test_no_other_file_of_the_machine_is_looked_at(page, folder, marked):
    """gradio checks only what says that it is a file."""
    import httpx

    photograph = {"path": str(folder / "two people.png")}
    photograph |= {"meta": {"_type": "gradio.FileData"}} if marked else {}
    url = f"{page[0].local_url}gradio_api/call/predict"
    event = httpx.post(url, json={"data": [photograph, 0.0]}).json()["event_id"]
    answer = httpx.get(f"{url}/{event}", timeout=60).text
    assert "score of" not in answer and ("error" if marked else "Choose a photograph") in answer


def test_nobody_passes_those_who_wait(page):
    import httpx

    url = f"{page[0].local_url}gradio_api/run/predict"
    assert httpx.post(url, json={"data": [None, 0.5]}).status_code == 404


@pytest.mark.skipif(
    not (NODE and CHROMIUM and (WEB / "node_modules").is_dir()),
    reason="needs node, chromium, and in examples/web: npm install",
)
def test_the_page_answers_in_a_browser_and_asks_nobody_else(page, folder, predicted, tmp_path):
    names = ("two people.png", "dark.png", "cut.png", "huge.png")
    words = [page[0].local_url, CHROMIUM, tmp_path, *(folder / name for name in names)]
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", BROWSER, *map(str, words)],
        cwd=WEB,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["outside"] == []
    begins = ("2 people, the surest", "Nobody was found", "The image cannot be decoded", "File(s)")
    assert all(map(str.startswith, answer["said"], begins))
    assert "exceed the maximum allowed size of 100.0 M" in answer["said"][3]
    assert json.loads((tmp_path / "poses.json").read_text()) == predicted
