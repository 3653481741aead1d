"""Is a part's saliency near the part?

    python -m benchmarks.saliency [RECORDS] [--at label] [--model cpm-light-lsp]

Of ten people, evenly spread over the records (drawn ones unless named): how many times more of the
saliency's energy lies within half a head of the labelled part than if it lay everywhere (median),
and of how many people it is more than once, more than twice. What is explained is the peak of the
part's beliefs, wherever it is, or with `--at label` the beliefs around the labelled part. Needs
tf-keras-vis; 1 minute.
"""

import argparse
import tempfile

import numpy as np

import keras_cpm
from keras_cpm.data.crop import network_box
from keras_cpm.pose import geometry
from keras_cpm.visualization.saliency import concentration, explain

PEOPLE = 10


def _has_head(record):
    labelled = dict(zip(record.parts, record.people[0].visible, strict=True))
    return bool(labelled.get("head") and labelled.get("neck"))


def half_heads(record, spec):
    """The network box, its labelled parts by name, half the head's length in it."""
    box, network_from_image = network_box(record, spec)
    person = record.people[0]
    points = geometry.apply(network_from_image, person.keypoints).numpy()
    parts = {name: points[i] for i, name in enumerate(record.parts) if person.visible[i]}
    return box, parts, np.hypot(*(parts["head"] - parts["neck"])) / 2


def how_near(model, spec, part, stage, person, at_label):
    box, point, radius = person
    heat = explain(model, spec, box, part, stage=stage, at=tuple(point) if at_label else "peak")
    return concentration(heat**2, point, radius)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", nargs="?")
    parser.add_argument("--model", default="cpm-light-lsp")
    parser.add_argument("--at", choices=["peak", "label"], default="peak")
    options = parser.parse_args()
    model, spec = keras_cpm.load(options.model)
    if options.records:
        records = keras_cpm.read_records(options.records)
    else:
        records = keras_cpm.draw_records(tempfile.mkdtemp(), PEOPLE, others=0, occluders=0)
    # half a head is the measure
    records = [record for record in records if _has_head(record)]
    records = records[:: max(1, len(records) // PEOPLE)][:PEOPLE]
    seen = [half_heads(record, spec) for record in records]
    stages = range(1, len(model.output_names) + 1)
    print(f"{'part':16}" + "".join(f"{f'stage {stage}':>24}" for stage in stages))
    for part in spec.skeleton.parts:
        people = [(box, parts[part], radius) for box, parts, radius in seen if part in parts]
        line = f"{part:16}"
        for stage in stages:
            near = [
                how_near(model, spec, part, stage, person, options.at == "label")
                for person in people
            ]
            once, twice = (sum(times > bound for times in near) for bound in (1, 2))
            line += f"{f'{np.median(near):.1f} x, {once}, {twice} of {len(near)}':>24}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
