"""`keras-cpm`: every verb parses its flags, calls one public function and prints one table.

Nothing heavy is imported before a verb runs, so `--help` answers at once.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path

import click

from . import __version__
from .flags import fields_as_options, given
from .recipes import MODERN, RELEASE, AugmentSpec, TrainSpec
from .spec import PoseSpec
from .terminal import (
    load_tensorflow,
    print_pose,
    print_scores,
    progress,
    read_json,
    silent_stderr,
    write_json,
)

_PATH = click.Path(path_type=Path)
_SPLITS = ("train", "test", "extended")
_COUNT = click.IntRange(min=1)
# what `train` builds unless told otherwise; kept beside a bundle for those who start from it
_NETWORK = {"stages": 3, "backbone": "light", "stage_block": "light", "width": 64, "dropout": 0.0}
_NETWORK_FILE = "network.json"


class _Verbs(click.Group):
    """Turns the errors that users can mend into one sentence."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):  # RuntimeErrors to click
            raise
        except (ValueError, ImportError, OSError, RuntimeError) as error:
            if os.environ.get("KERAS_CPM_TRACEBACK"):
                raise
            raise click.ClickException(str(error)) from error


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main():
    """Convolutional Pose Machines for Keras: train, evaluate, predict and export pose networks.

    Start with `keras-cpm demo`, which needs no data. MODEL is a bundle's folder or the name of a
    shipped one. KERAS_CPM_TRACEBACK=1 shows where an error came from.
    """


@main.command()
@click.option(
    "--out",
    type=_PATH,
    default=Path("demo"),
    show_default=True,
    help="Folder for everything it makes.",
)
def demo(out):
    """Trains on drawn people, evaluates, draws and exports: the whole journey in minutes, offline."""
    load_tensorflow()
    from .demo import run_demo

    run_demo(out)


@main.command()
@click.argument("dataset", type=click.Choice(["lsp", "synthetic"]))
@click.argument("root", type=_PATH)
@click.argument("out", type=_PATH)
@click.option(
    "--split", type=click.Choice(_SPLITS), default="train", show_default=True, help="Part of LSP."
)
@click.option("--first", type=_COUNT, help="Keep the records from this one on, counted from 1.")
@click.option("--last", type=_COUNT, help="Keep the records up to this one.")
@click.option(
    "--count", type=_COUNT, default=1000, show_default=True, help="Pictures to draw (synthetic)."
)
@click.option(
    "--figure",
    type=click.Choice(["person", "hand", "quadruped"]),
    default="person",
    show_default=True,
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the drawn figures (synthetic)."
)
def prepare(dataset, root, out, split, first, last, count, figure, seed):
    """Writes the records OUT.jsonl of a data set.

    \b
    lsp        ROOT holds lsp_dataset/ and lspet_dataset/; --split extended is all of the second.
    synthetic  draws figures into the folder ROOT.
    """
    load_tensorflow()
    from .data.jsonl import write_records

    if dataset == "lsp":
        from .data.lsp import load_lsp

        records = load_lsp(root, split, progress=progress("reading sizes"))
    else:
        from .data import figures, synthetic

        chosen = getattr(figures, figure.upper())
        records = synthetic.draw_records(
            root, count, figure=chosen, seed=seed, progress=progress("drawing")
        )
    records = records[(first or 1) - 1 : last]
    write_records(records, out)
    click.echo(f"{len(records)} records in {out}")
    if dataset == "synthetic":
        click.echo(
            "Train on them with --flip-probability 0: shade, not shape, tells left from right."
        )


@main.command("check-data")
@click.argument("records", type=_PATH)
@click.option(
    "--draw", type=_PATH, help="Folder for pictures of samples, their labels and their targets."
)
@click.option("--count", type=_COUNT, default=16, show_default=True, help="Samples to draw.")
@click.option("--json", "json_path", type=_PATH, help="Write the findings as JSON.")
@fields_as_options(PoseSpec, leave_out=("skeleton", "stride", "background", "version"))
def check_data(records, draw, count, json_path, **options):
    """Lists what is wrong with records, and draws samples, before a training finds out."""
    load_tensorflow()
    from .checks import check, draw_samples
    from .data.jsonl import read_records

    loaded = read_records(records)
    spec = PoseSpec(skeleton=_skeleton_of(loaded), **given(PoseSpec, options))
    findings = check(loaded, progress=progress("checking"))
    write_json(json_path, {"records": len(loaded), "findings": findings})
    for finding in findings:
        click.echo(f"{finding['problem']}: {finding['where']}")
    click.echo(f"{len(loaded)} records, {len(findings)} findings")
    if draw:
        draw_samples(loaded, spec, draw, count)
        click.echo(f"Drawn: {draw / 'labels.png'}, {draw / 'targets.png'}")
    if findings:
        raise SystemExit(1)


@main.command()
@click.argument("records", type=_PATH, nargs=-1, required=True)
@click.option(
    "--out", type=_PATH, required=True, help="Folder for the bundle, the log and the checkpoint."
)
@click.option(
    "--validation", type=_PATH, multiple=True, help="Records of other people; may be given again."
)
@click.option(
    "--recipe", type=click.Choice(["modern", "release"]), default="modern", show_default=True
)
@click.option("--init", help="Start from a trained MODEL, also of another skeleton.")
@click.option("--stages", type=int, help="T of the paper; 3 unless given.")
@click.option(
    "--backbone", type=click.Choice(["cpm", "vgg19", "light"]), help="light unless given."
)
@click.option(
    "--stage-block",
    type=click.Choice(["classic", "vgg", "residual", "light"]),
    help="light unless given.",
)
@click.option(
    "--width", type=int, help="Filters of towers and stages; 64 unless given, 128 in the paper."
)
@click.option("--dropout", type=float, help="In stage 1; 0.5 in the release, 0 unless given.")
@click.option("--skeleton", help="Name of a built-in skeleton; otherwise that of the records.")
@fields_as_options(PoseSpec, leave_out=("skeleton", "stride", "version"))
@fields_as_options(AugmentSpec)
@fields_as_options(TrainSpec)
def train(records, out, validation, recipe, init, skeleton, **options):
    """Trains on the files RECORDS; the same command again goes on where it stopped."""
    load_tensorflow()
    import keras

    from . import bundle, training
    from .data.jsonl import read_records
    from .models.cpm import build_cpm, initialize_release
    from .models.transfer import transfer_weights
    from .visualize import plot_training

    people = [record for path in records for record in read_records(path)]
    held_out = [record for path in validation for record in read_records(path)]
    settings = dataclasses.replace(
        MODERN if recipe == "modern" else RELEASE, **given(TrainSpec, options)
    )
    augment = AugmentSpec(**given(AugmentSpec, options))
    changes = given(PoseSpec, options)
    source, base, network = None, PoseSpec(), _NETWORK
    if init:
        # the box, the peaks and the network of the trained model, unless told otherwise
        source, base = bundle.load(init)
        network = read_json(bundle.bundle_directory(init) / _NETWORK_FILE, default=_NETWORK)
    spec = base.replace(**changes, skeleton=_skeleton_of(people, skeleton, base.skeleton))
    network = network | {name: value for name, value in options.items() if value is not None}
    keras.utils.set_random_seed(settings.seed)
    model = build_cpm(spec=spec, **network)
    if source is not None:
        same_parts = spec.skeleton.parts == base.skeleton.parts
        fresh = transfer_weights(source, model, same_parts=same_parts)
        click.echo(f"Started from {init}; new layers: {', '.join(fresh) or 'none'}")
    elif recipe == "release":
        initialize_release(model, settings.seed)
    if augment.flip_probability and not spec.skeleton.flip_pairs:
        click.echo("No part has a mirror partner: mirrored samples keep their part names.")
    click.echo(
        f"{model.count_params():,} parameters, {len(people)} people, {len(held_out)} held out"
    )
    history = training.train(
        model,
        people,
        held_out,
        settings,
        spec,
        directory=out,
        augment=augment,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    # not before: a training that is refused leaves what it was refused for as it was
    write_json(out / _NETWORK_FILE, network)
    plot_training(out / "log.csv", out / "curves.png")
    if not history.epoch:
        click.echo(f"This training has finished; --epochs more than {settings.epochs} goes on.")
    click.echo(f"The bundle is in {out}; next: keras-cpm evaluate {out} RECORDS.jsonl")


@main.command()
@click.argument("model")
@click.argument("records", type=_PATH)
@click.option(
    "--alpha",
    type=float,
    multiple=True,
    help="Thresholds; may be given again. Default 0.2, pckh 0.5.",
)
@click.option("--metric", type=click.Choice(["pck", "pckh"]), default="pck", show_default=True)
@click.option(
    "--baseline", type=_PATH, help="Training records: adds the row of their constant mean pose."
)
@click.option("--flip", is_flag=True, help="Also look at the mirror image.")
@click.option(
    "--scale", "scales", type=float, multiple=True, help="Zooms to average; may be given again."
)
@click.option("--draw", type=_PATH, help="Folder for drawings of the first predictions.")
@click.option("--count", type=_COUNT, default=12, show_default=True, help="Predictions to draw.")
@click.option("--json", "json_path", type=_PATH, help="Write the table as JSON, in percent.")
def evaluate(model, records, alpha, metric, baseline, flip, scales, draw, count, json_path):
    """Scores MODEL on RECORDS: PCK per part and per stage, in percent."""
    load_tensorflow()
    from . import bundle, evaluation, pictures
    from .data.jsonl import read_records
    from .predictor import Predictor

    loaded = read_records(records)
    network, spec = bundle.load(model)
    looks = {"scales": scales or (1.0,), "flip": flip}
    result = evaluation.evaluate(
        network,
        loaded,
        spec,
        metric=metric,
        baseline_records=read_records(baseline) if baseline else (),
        progress=progress("predicting"),
        **looks,
    )
    scores = {}
    for threshold in alpha or ((0.5,) if metric == "pckh" else (0.2,)):
        table = result.scores(threshold)
        print_scores(table)
        for row, entry in table.items():
            scores.setdefault(row, {}).update(entry)
    write_json(json_path, scores)
    if draw:
        picture = pictures.draw_predictions(Predictor(network, spec, **looks), loaded[:count], draw)
        click.echo(f"Drawn: {picture}")


@main.command()
@click.argument("images", type=_PATH, nargs=-1, required=True)
@click.option("--model", help="MODEL; without it, the shipped one.")
@click.option(
    "--box",
    type=float,
    nargs=4,
    metavar="X0 Y0 X1 Y1",
    help="Around the person, in image pixels, with spaces.",
)
@click.option(
    "--center", type=float, nargs=2, metavar="X Y", help="Middle of the person; with --height."
)
@click.option("--height", type=float, help="Height of the person in image pixels.")
@click.option("--flip", is_flag=True, help="Also look at the mirror image.")
@click.option(
    "--scale", "scales", type=float, multiple=True, help="Zooms to average; may be given again."
)
@click.option("--draw", type=_PATH, help="A folder, or for one image a file.")
@click.option(
    "--part", help="With --draw: also draws this part's belief map, and its stages side by side."
)
@click.option("--json", "json_path", type=_PATH, help="Write keypoints and scores as JSON.")
def predict(images, model, box, center, height, flip, scales, draw, part, json_path):
    """Finds the pose of the person in each of IMAGES; without box or centre, the person fills the
    image.
    """
    if (box or center) and len(images) > 1:
        raise click.UsageError("--box and --center belong to one image; give one image.")
    if part and not draw:
        raise click.UsageError("--part needs --draw.")
    if draw and draw.suffix and len(images) > 1:
        raise click.UsageError("--draw must be a folder when there are several images.")
    load_tensorflow()
    from . import bundle, pictures
    from .predictor import Predictor

    network, spec = bundle.load(model or bundle.default_bundle())
    predictor = Predictor(network, spec, scales=scales or (1.0,), flip=flip)
    results, drawn, failures = {}, [], []
    for path in progress("predicting")(images) if len(images) > 1 else images:
        try:
            pose = predictor(path, center=center or None, person_height=height, box=box or None)
        except (ValueError, FileNotFoundError) as error:
            # one bad image among many does not cost the others
            failures.append(str(error))
            continue
        results[str(path)] = pose.to_dict()
        if draw:
            target = _drawing_path(draw, path, images)
            drawn += pictures.draw_prediction(path, pose, target, part)
    write_json(json_path, results)
    if not json_path:
        for path, result in results.items():
            click.echo(f"{path}:" if len(images) > 1 else "", nl=len(images) > 1)
            print_pose(result)
    for path in [*drawn, *([json_path] if json_path else [])]:
        click.echo(f"Written: {path}")
    if failures:
        raise click.ClickException("\n".join(failures))


@main.command()
@click.argument("model")
@click.option("--to", "target", type=click.Choice(["savedmodel", "tflite"]), required=True)
@click.option("--out", type=_PATH, required=True, help="A folder (savedmodel) or a .tflite file.")
@click.option("--check", type=_PATH, help="Records: compares keypoints on the first 50 images.")
def export(model, target, out, check):
    """Writes MODEL for TensorFlow Serving (savedmodel) or for phones (tflite)."""
    load_tensorflow()
    from . import agreement, bundle
    from . import export as exporting
    from .data.jsonl import read_records

    network, spec = bundle.load(model)
    if target == "savedmodel":
        exporting.export_saved_model(network, spec, out)
        click.echo(f"{out / '1'}: signatures serving_default, boxes, crops, beliefs")
    else:
        exporting.export_tflite(network, spec, out)
        click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB; outputs keypoints, scores, beliefs")
    if check:
        compared = read_records(check)[:50]
        compare = agreement.compare_tflite if target == "tflite" else agreement.compare_saved_model
        with silent_stderr():
            difference = compare(network, spec, compared, out)
        click.echo(f"{len(compared)} images: keypoints differ by at most {difference:.5f} px")


@main.command()
@click.argument("model")
@click.option("--json", "json_path", type=_PATH, help="Write the same as JSON.")
def inspect(model, json_path):
    """Shows inputs, outputs, receptive fields and spec of MODEL."""
    load_tensorflow()
    from . import bundle
    from .models.receptive_field import receptive_field

    network, spec = bundle.load(model)
    facts = {
        "parameters": network.count_params(),
        "built with": read_json(bundle.bundle_directory(model) / _NETWORK_FILE, default={}),
        "inputs": {tensor.name: list(tensor.shape) for tensor in network.inputs},
        "outputs": {
            name: list(tensor.shape)
            for name, tensor in zip(network.output_names, network.outputs, strict=True)
        },
        "receptive field, image pixels": {
            name: receptive_field(network, name, "image") for name in network.output_names
        },
        "spec": json.loads(spec.to_json()),
    }
    write_json(json_path, facts)
    for name, value in facts.items():
        click.echo(f"{name}:")
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for key, entry in rows:
            click.echo(f"  {key} {entry:,}" if type(entry) is int else f"  {key} {entry}")


@main.command()
def doctor():
    """Says which versions are here and what is missing, with one line to mend each."""
    from .doctor import diagnose

    healthy = True
    for line, fine in diagnose():
        click.echo(("ok      " if fine else "mend    ") + line)
        healthy &= fine
    raise SystemExit(0 if healthy else 1)


def _skeleton_of(records, name=None, trained=None):
    """The skeleton that is named, or the one that the records' parts make."""
    from .skeleton import built_in, skeleton_of

    if name is not None:
        return built_in(name)
    kinds = {frozenset(record.parts): record.parts for record in records}
    if len(kinds) > 1:
        raise ValueError(
            "The records have different parts; name the skeleton to train with --skeleton. "
            f"Received: {[list(parts) for parts in kinds.values()]}"
        )
    return skeleton_of(records[0].parts, trained)


def _drawing_path(draw, image, images):
    if len(images) == 1 and draw.suffix:
        return draw
    same_name = [path for path in images if path.stem == image.stem]
    number = f".{same_name.index(image) + 1}" if len(same_name) > 1 else ""
    return draw / f"{image.stem}{number}.png"
