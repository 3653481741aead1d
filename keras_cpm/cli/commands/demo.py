"""`keras-cpm demo`, the whole journey on drawn people: draw, train, evaluate, look, export, compare. Minutes on two
cores, offline.
"""

import dataclasses
import shutil
import time
from pathlib import Path

import click

from ...data.augment import AugmentSpec
from ...pose.spec import PoseSpec
from ...training.recipes import MODERN
from ..console import load_tensorflow, print_scores, progress, silent_stderr
from ..options import PATH

SPEC = PoseSpec(box_size=128, person_height=92.0, part_sigma=9.0, center_sigma=12.0)
NETWORK = {"stages": 3, "backbone": "light", "stage_block": "light", "width": 32}
RECIPE = dataclasses.replace(
    MODERN,
    learning_rate=3e-3,
    warmup_steps=100,
    epochs=10,
    batch_size=8,
    ema=0.99,
)
# no mirror: drawn people tell left from right by shade, which a mirror does not swap
AUGMENT = AugmentSpec(
    rotation_degrees=10.0, scale_range=(0.9, 1.1), flip_probability=0.0, shift=0.03
)
TRAIN_COUNT, TEST_COUNT, COMPARED = 2400, 240, 20


@click.command()
@click.option(
    "--out",
    type=PATH,
    default=Path("demo"),
    show_default=True,
    help="Folder for everything it makes.",
)
def demo(out):
    """Trains on drawn people, evaluates, draws and exports: the whole journey in minutes, offline."""
    load_tensorflow()
    run_demo(out)


def run_demo(out):
    """Trains a small CPM on drawn people and leaves pictures, a bundle and both exports in the folder `out`.

    Returns:
        The PCK of every stage, as `Evaluation.scores(0.2)`.

    Raises:
        RuntimeError: an export does not give the Keras model's keypoints; see `agreement`.
    """
    import keras

    from ...data.synthetic.draw import draw_records
    from ...evaluation.evaluate import evaluate
    from ...export import compare, saved_model
    from ...models.cpm import build_cpm
    from ...training import checkpoints
    from ...training.train import train

    start, out = time.monotonic(), Path(out)
    click.echo(f"1/5 Drawing {TRAIN_COUNT} people to train on, and {TEST_COUNT} others to score")
    people = draw_records(out / "people/train", TRAIN_COUNT, seed=1, progress=progress("drawing"))
    held_out = draw_records(out / "people/test", TEST_COUNT, seed=2, progress=progress("drawing"))

    click.echo(f"2/5 Training {NETWORK['stages']} stages on {len(people)} people")
    keras.utils.set_random_seed(0)
    model = build_cpm(spec=SPEC, **NETWORK)
    folder = out / "model"
    shutil.rmtree(folder / checkpoints.FOLDER, ignore_errors=True)
    train(model, people, (), RECIPE, SPEC, directory=folder, augment=AUGMENT, verbose=2)

    click.echo(f"3/5 Scoring {len(held_out)} people it never saw")
    result = evaluate(model, held_out, SPEC, progress=progress("predicting"))
    scores = result.scores(0.2)
    print_scores(scores)

    click.echo("4/5 Drawing what it found")
    _draw(model, held_out, result, out)

    click.echo("5/5 Exporting, and comparing with the Keras model")
    saved_model.export_saved_model(model, SPEC, out / "saved_model")
    saved_model.export_tflite(model, SPEC, out / "cpm.tflite")
    for path in (out / "saved_model", out / "cpm.tflite"):
        with silent_stderr():
            difference = compare.compare(model, SPEC, held_out[:COMPARED], path).checked()
        click.echo(f"    {path}: keypoints differ by at most {difference:.4f} px")

    click.echo(f"Done in {(time.monotonic() - start) / 60:.1f} minutes. In {out}/:")
    for name, what in _CONTENTS.items():
        click.echo(f"    {name:18s} {what}")
    click.echo(
        "In the pictures right limbs are orange, left ones blue. On a photograph of your own, next:"
    )
    click.echo("    keras-cpm predict photo.jpg --people auto --draw pose.png")
    return scores


_CONTENTS = {
    "predictions.png": "poses of people it never saw",
    "shipped.png": "the same people, seen by the shipped model, which learnt from photographs",
    "stages.png": "two parts' beliefs from stage to stage, as in Figure 7 of the paper",
    "beliefs.png": "the first of these parts' last belief map over the picture",
    "curves.png": "loss and PCK over the epochs",
    "model/": "the bundle: keras_cpm.load reads it",
    "saved_model/": "for TensorFlow Serving",
    "cpm.tflite": "for phones",
}


def _draw(model, records, result, out):
    from ...images import decode
    from ...inference.predictor import Predictor
    from ...models import bundle
    from ...training.train import LOG_FILE
    from ...visualization import beliefs, results

    find = Predictor(model, SPEC)
    results.draw_predictions(find, records[:12], out / "predictions.png")
    shipped = Predictor(*bundle.load(bundle.default_bundle()), flip=True)
    results.draw_predictions(shipped, records[:12], out / "shipped.png")
    number, parts = _most_corrected(result)
    person, image = records[number].people[0], records[number].image
    pose = find(image, center=person.center, person_height=person.height)
    picture = decode.upright_array(image)
    beliefs.save_image(out / "stages.png", beliefs.draw_stages(picture, pose, parts))
    beliefs.save_image(out / "beliefs.png", beliefs.draw_beliefs(picture, pose, parts[0]))
    beliefs.plot_training(out / "model" / LOG_FILE, out / "curves.png")


def _most_corrected(result):
    """The sample whose later stages mend most of stage 1's mistakes, and two parts they mend."""
    import numpy as np

    first, last = result.predicted["stage1"], list(result.predicted.values())[-1]
    wrong, left = (
        np.where(result.labelled, np.linalg.norm(points - result.truth, axis=-1), 0.0)
        / result.normalizer[:, None]
        for points in (first, last)
    )
    mended = np.nan_to_num(np.where(left < 0.1, wrong, 0.0))
    number = int((mended > 0.3).sum(axis=1).argmax())
    return number, [SPEC.skeleton.parts[p] for p in np.argsort(-mended[number])[:2]]
