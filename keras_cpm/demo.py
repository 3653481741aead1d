"""The whole journey on drawn people: draw, train, evaluate, look, export, compare. Minutes on two
cores, offline.
"""

import dataclasses
import time
from pathlib import Path

import click
import numpy as np
import tensorflow as tf

from . import evaluation, export, geometry, images, predictor, training, visualize
from .data.synthetic import draw_records
from .litert import LiteRTModel
from .models.cpm import build_cpm
from .recipes import MODERN, AugmentSpec
from .spec import PoseSpec
from .terminal import print_scores, progress

SPEC = PoseSpec(box_size=128, person_height=92.0, part_sigma=9.0, center_sigma=12.0)
NETWORK = {"stages": 3, "backbone": "light", "stage_block": "light", "width": 32}
RECIPE = dataclasses.replace(
    MODERN,
    learning_rate=3e-3,
    warmup_steps=100,
    epochs=16,
    batch_size=16,
    ema=0.99,
    precision="mixed_bfloat16",
)
# no mirror: drawn people tell left from right by shade, which a mirror does not swap
AUGMENT = AugmentSpec(
    rotation_degrees=20.0, scale_range=(0.85, 1.15), flip_probability=0.0, shift=0.03
)
TRAIN_COUNT, TEST_COUNT, COMPARED = 1500, 240, 20

# Exports are the same network; what is left is rounding.
_TOLERANCE, _SURE = 0.05, 0.3


def run_demo(out):
    """Trains a small CPM on drawn people and leaves pictures, a bundle and both exports in the folder `out`.

    Returns:
        The accuracies, as `Evaluation.scores(0.2)`.

    Raises:
        RuntimeError: an export does not give the Keras model's keypoints.
    """
    start, out = time.monotonic(), Path(out)
    click.echo("1/5 Drawing people: another seed, other people, colours and backgrounds")
    people = draw_records(out / "people/train", TRAIN_COUNT, seed=1, progress=progress("drawing"))
    held_out = draw_records(out / "people/test", TEST_COUNT, seed=2, progress=progress("drawing"))

    click.echo(f"2/5 Training {NETWORK['stages']} stages on {len(people)} people")
    model = build_cpm(spec=SPEC, **NETWORK)
    folder = out / "model"
    for stale in (training.STATE_FILE, training.LOG_FILE):
        (folder / stale).unlink(missing_ok=True)
    training.train(model, people, (), RECIPE, SPEC, directory=folder, augment=AUGMENT, verbose=2)

    click.echo(f"3/5 Scoring {len(held_out)} people it never saw")
    result = evaluation.evaluate(model, held_out, SPEC, progress=progress("predicting"))
    scores = result.scores(0.2)
    print_scores(scores)

    click.echo("4/5 Drawing what it found")
    _draw(model, held_out, out)

    click.echo("5/5 Exporting, and comparing with the Keras model")
    export.export_saved_model(model, SPEC, out / "saved_model")
    export.export_tflite(model, SPEC, out / "cpm.tflite")
    for name, difference in _compare(model, held_out[:COMPARED], out).items():
        click.echo(f"    {name}: keypoints differ by at most {difference:.4f} px")
        if difference > _TOLERANCE:
            raise RuntimeError(
                f"{name} differs from the Keras model by {difference:.3f} px; this is a defect."
            )

    click.echo(f"Done in {(time.monotonic() - start) / 60:.1f} minutes. In {out}/:")
    for name, what in _CONTENTS.items():
        click.echo(f"    {name:18s} {what}")
    return scores


_CONTENTS = {
    "predictions.png": "poses of people it never saw",
    "stages.png": "two parts' beliefs from stage to stage, as in Figure 7 of the paper",
    "beliefs.png": "one part's belief map over the picture",
    "curves.png": "loss and PCK over the epochs",
    "model/": "the bundle: keras_cpm.load reads it",
    "saved_model/": "for TensorFlow Serving",
    "cpm.tflite": "for phones",
}


def _draw(model, records, out):
    find = predictor.Predictor(model, SPEC)
    drawn = []
    for i, record in enumerate(records[:12]):
        picture, person = images.upright_array(record.image), record.people[0]
        pose = find(record.image, center=person.center, person_height=person.height)
        drawn.append(visualize.draw_pose(picture, pose, SPEC.skeleton))
        if i == 0:
            wrists = ["right_wrist", "left_ankle"]
            stages = visualize.draw_stages(picture, pose, SPEC, wrists)
            visualize.save_image(out / "stages.png", stages)
            beliefs = visualize.draw_beliefs(picture, pose, SPEC, wrists[0])
            visualize.save_image(out / "beliefs.png", beliefs)
    visualize.save_image(out / "predictions.png", visualize.contact_sheet(drawn))
    visualize.plot_training(out / "model" / training.LOG_FILE, out / "curves.png")


def _compare(model, records, out):
    """Largest difference of a sure keypoint, image pixels, by export."""
    find = predictor.Predictor(model, SPEC)
    boxes = np.array([record.people[0].box for record in records], np.float32)
    poses = [find(record.image, box=box) for record, box in zip(records, boxes, strict=True)]
    data = tf.constant([Path(record.image).read_bytes() for record in records])
    served = tf.saved_model.load(str(out / "saved_model/1")).signatures["boxes"](
        image=data, box=boxes
    )
    mobile = LiteRTModel(out / "cpm.tflite")
    on_phone = [
        _on_phone(mobile, r.image, p.network_from_image)
        for r, p in zip(records, poses, strict=True)
    ]
    return {
        "SavedModel, from encoded bytes": _difference(poses, served["keypoints"].numpy()),
        "LiteRT, from the network box": _difference(poses, on_phone),
    }


def _on_phone(mobile, image, network_from_image):
    crop = geometry.warp(
        images.upright_array(image), network_from_image, (SPEC.box_size,) * 2, fill=SPEC.pad_value
    )
    keypoints = mobile(crop[None])["keypoints"][0]
    return geometry.apply(geometry.invert(network_from_image), keypoints).numpy()


def _difference(poses, keypoints):
    pairs = zip(poses, keypoints, strict=True)
    return max(
        float(np.abs(pose.keypoints - points)[pose.scores >= _SURE].max(initial=0))
        for pose, points in pairs
    )
