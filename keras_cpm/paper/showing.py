"""The beliefs of a network, stage by stage: Figures 1 and 7."""

import numpy as np

from ..data import placement
from ..evaluation.evaluate import evaluate, predictor_for
from ..images import decode
from ..models import bundle
from ..visualization import beliefs, canvas
from . import verdicts
from .trial import ALPHA, LIGHT, distances

# people whose beliefs are looked at before some are shown
_LOOKED_AT = 20


def fig1(trial):
    return _show_beliefs(trial, ("right_elbow",), people=1)


def fig7(trial):
    return _show_beliefs(
        trial, ("right_elbow", "left_elbow", "right_wrist", "left_wrist"), people=2
    )


def _show_beliefs(trial, wanted, people):
    """The beliefs of all stages for the people and parts whose first guess was mended most.

    Of people alone in their pictures, if any: that stage 1 finds a neighbour is what it learnt.
    """
    model, spec = model_to_show(trial)
    tests = [record for record in trial.tests if len(record.people) == 1] or trial.tests
    result = evaluate(model, tests, spec)
    names = [name for name in wanted if name in spec.skeleton.parts] or list(spec.skeleton.parts)
    columns = [spec.skeleton.index(name) for name in names]
    off = np.stack([distances(result, row)[:, columns] for row in result.predicted])
    first, last = np.nan_to_num(off[0], nan=0.0), np.nan_to_num(off[-1], nan=np.inf)
    mended = np.where(last < ALPHA / 2, first, 0.0)
    poses, predictor = {}, predictor_for(model, spec)
    for number in np.argsort(-mended.sum(axis=1), kind="stable")[:_LOOKED_AT]:
        center, height = placement.where_is(tests[number])
        pose = predictor(tests[number].image, center=center, person_height=height)
        poses[number] = pose
        # a right place that the last stage hardly believes in is no good picture
        mended[number] *= np.clip(pose.stage_scores[-1, columns], 0.0, 1.0)
    numbers = sorted(poses, key=lambda number: -mended[number].sum())[:people]
    best = int(mended[numbers[0]].argmax())
    sheets, rows = [], []
    for number in numbers:
        shown = [names[p] for p in np.argsort(-mended[number], kind="stable")[:2]]
        image, pose = tests[number].image, poses[number]
        sheets.append([beliefs.draw_stages(decode.upright_array(image), pose, shown)])
        rows += [
            (
                image,
                name,
                stage,
                float(off[stage - 1, number, names.index(name)]),
                float(score),
            )
            for name in shown
            for stage, score in enumerate(pose.stage_scores[:, spec.skeleton.index(name)], 1)
        ]
    trial.write_csv(("image", "part", "stage", "distance_in_normalizers", "belief"), rows)
    canvas.save_image(trial.path("png"), canvas.grid(sheets))
    found = np.stack([off[0] <= ALPHA, off[-1] <= ALPHA])
    counts = [int((found[a] & ~found[b] & np.isfinite(off[0])).sum()) for a, b in ((1, 0), (0, 1))]
    return verdicts.of_beliefs(names, *counts, (names[best], off[:, numbers[0], best].tolist()))


def model_to_show(trial):
    if trial.model:
        trial.say(f"{trial.figure}: the beliefs of {trial.model} on {len(trial.tests)} people")
        return bundle.load(trial.model)
    model = trial.build(3, LIGHT)
    trial.train(model, "joint")
    return model, trial.spec
