"""`keras-cpm demo`, the whole journey on drawn people: draw, train, evaluate, look, export and
compare. Minutes on two cores, offline.
"""

import shutil
import time
from pathlib import Path

import click

from ...data.synthetic.figures import PERSON, picture_name
from ...images import marks
from ..console import echo, load_tensorflow, print_scores, progress, silent_stderr
from ..options import PATH
from ..outputs import guard, overwrite

# of what `plan_training` has unless told otherwise
CHANGES = {
    **{"box_size": 128, "person_height": 92.0, "part_sigma": 9.0, "center_sigma": 12.0},
    **{"width": 32, "epochs": 10, "batch_size": 8},
    **{"learning_rate": 3e-3, "warmup_steps": 100, "ema": 0.99},
    **{"rotation_degrees": 10.0, "scale_range": (0.9, 1.1), "shift": 0.03},
    # drawn people tell left from right by shade, which a mirror does not swap
    "flip_probability": 0.0,
}
TRAIN_COUNT, TEST_COUNT, COMPARED = 2400, 240, 20


@click.command()
@click.option(
    "--out",
    type=PATH,
    default=Path("demo"),
    show_default=True,
    help="Folder for everything it makes.",
)
@overwrite
def demo(out, overwrite):
    """Trains on drawn people, evaluates, draws and exports: the whole journey, minutes, offline."""
    guard([("--out", path) for path in _files(out)], [], overwrite)
    load_tensorflow()
    run_demo(out)


def run_demo(out):
    """Trains a small CPM on drawn people and leaves pictures, a bundle and both exports in `out`.

    Returns:
        The PCK of every stage, as `Evaluation.scores(0.2)`.

    Raises:
        RuntimeError: an export does not give the Keras model's keypoints; see `compare`.
    """
    from ...data.synthetic.draw import draw_records
    from ...evaluation.evaluate import evaluate
    from ...export import compare, saved_model, tflite
    from ...inference.predictor import Predictor
    from ...training import checkpoints
    from ...training.plan import plan_training

    start, out = time.monotonic(), Path(out)
    echo(f"1/5 Drawing {TRAIN_COUNT} people to train on, and {TEST_COUNT} others to score")
    people, held_out = (
        draw_records(out / folder, count, seed=seed, progress=progress("drawing"))
        for folder, count, seed in _drawn()
    )

    plan = plan_training(people, **CHANGES)
    echo(f"2/5 Training {plan.network['stages']} stages on {len(people)} people")
    model, spec = plan.build(), plan.spec
    shutil.rmtree(out / "model" / checkpoints.FOLDER, ignore_errors=True)
    plan.train(model, people, directory=out / "model", verbose=2)

    echo(f"3/5 Scoring {len(held_out)} people it never saw")
    result = evaluate(model, held_out, spec, progress=progress("predicting"))
    scores = result.scores(0.2)
    print_scores(scores)

    echo("4/5 Drawing what it found")
    _draw(Predictor(model, spec), held_out, result, out)

    echo("5/5 Exporting, and comparing with the Keras model")
    saved_model.export_saved_model(model, spec, out / "saved_model")
    tflite.export_tflite(model, spec, out / "cpm.tflite")
    for path in (out / "saved_model", out / "cpm.tflite"):
        with silent_stderr():
            difference = compare.compare(model, spec, held_out[:COMPARED], path).checked()
        echo(f"    {path}: keypoints differ by at most {difference:.4f} px")

    echo(f"Done in {(time.monotonic() - start) / 60:.1f} minutes. In {out}/:")
    for name, what in _CONTENTS.items():
        echo(f"    {name:18s} {what}")
    echo(
        "In the pictures right limbs are orange, left ones blue. On a photograph of your own, next:"
    )
    echo("    keras-cpm predict photo.jpg --people auto --draw pose.png")
    return scores


def _drawn():
    """(folder, number of people, seed) of the drawn."""
    return ("people/train", TRAIN_COUNT, 1), ("people/test", TEST_COUNT, 2)


def _files(out):
    """All that is written over, but for the exports, which look for themselves."""
    drawn = [
        out / folder / picture_name(PERSON, seed, index)
        for folder, count, seed in _drawn()
        for index in range(count)
    ]
    files = [*drawn, *(out / name for name in _CONTENTS if name.endswith(".png"))]
    # a bundle has no mark: in a folder without people of ours it is somebody's training
    if not (drawn[0].is_file() and marks.is_ours(drawn[0])):
        files += [out / "model" / name for name in ("model.keras", "spec.json", "network.json")]
    return files


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


def _draw(predictor, records, result, out):
    from ...images import decode
    from ...inference.predictor import Predictor
    from ...models import bundle
    from ...training.train import LOG_FILE
    from ...visualization import beliefs, canvas, plots, results

    results.draw_predictions(predictor, records[:12], out / "predictions.png")
    shipped = Predictor(*bundle.load(bundle.default_bundle()), flip=True)
    results.draw_predictions(shipped, records[:12], out / "shipped.png")
    number, parts = _most_corrected(result)
    person, image = records[number].people[0], records[number].image
    pose = predictor(image, center=person.center, person_height=person.height)
    picture = decode.upright_array(image)
    canvas.save_image(out / "stages.png", beliefs.draw_stages(picture, pose, parts))
    canvas.save_image(out / "beliefs.png", beliefs.draw_beliefs(picture, pose, parts[0]))
    plots.plot_training(out / "model" / LOG_FILE, out / "curves.png")


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
    return number, [result.skeleton.parts[p] for p in np.argsort(-mended[number])[:2]]
