"""`keras-cpm train`: records to a bundle."""

import dataclasses
import sys

import click

from ...data.augment import AugmentSpec
from ...pose.spec import PoseSpec
from ...training.recipes import MODERN, RELEASE, TrainSpec
from ..console import load_tensorflow, read_json, write_json
from ..options import PATH, fields_as_options, given

# what is built unless told otherwise; kept beside a bundle for those who start from it
_NETWORK = {"stages": 3, "backbone": "light", "stage_block": "light", "width": 64, "dropout": 0.0}


@click.command()
@click.argument("records", type=PATH, nargs=-1, required=True)
@click.option(
    "--out", type=PATH, required=True, help="Folder for the bundle, the log and the checkpoint."
)
@click.option(
    "--validation", type=PATH, multiple=True, help="Records of other people; may be given again."
)
@click.option(
    "--recipe", type=click.Choice(["modern", "release"]), default="modern", show_default=True
)
@click.option("--init", help="Start from a trained MODEL, also of another skeleton.")
@click.option("--stages", type=int, help="T of the paper; 3 unless given.")
@click.option(
    "--backbone",
    type=click.Choice(["cpm", "vgg19", "vgg19-person", "light"]),
    help="light unless given.",
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
@click.option(
    "--skeleton",
    help="Name of a built-in skeleton, or a file of one (.json); otherwise that of the records.",
)
@fields_as_options(PoseSpec, leave_out=("skeleton", "stride", "version"))
@fields_as_options(AugmentSpec)
@fields_as_options(TrainSpec)
@click.option(
    "--tensorboard",
    type=PATH,
    help="Folder of logs for it: losses and PCK of every stage, pictures of beliefs.",
)
def train(records, out, validation, recipe, init, skeleton, tensorboard, **options):
    """Trains on the files RECORDS; the same command again goes on where it stopped."""
    load_tensorflow()
    import keras

    from ...data.jsonl import read_records
    from ...data.records import skeleton_of_records
    from ...inference.person_finder import PERSON_NETWORK, PERSON_SPEC
    from ...models import bundle
    from ...models.cpm import build_cpm, initialize_release
    from ...models.released import PERSON1
    from ...models.transfer import transfer_weights
    from ...training import train as training
    from ...visualization.beliefs import plot_training

    people = [record for path in records for record in read_records(path)]
    held_out = [record for path in validation for record in read_records(path)]
    base, network, settings = PoseSpec(), _NETWORK, MODERN if recipe == "modern" else RELEASE
    finds_people = {record.parts for record in people} == {PERSON1.parts}
    if finds_people:
        # people's centers alone: a network that finds people
        base, network = PERSON_SPEC, PERSON_NETWORK
        settings = dataclasses.replace(settings, missing="zero")
    settings = dataclasses.replace(settings, **given(TrainSpec, options))
    augment = AugmentSpec(**given(AugmentSpec, options))
    changes = given(PoseSpec, options)
    source = None
    if init:
        # the box, the peaks and the network of the trained model, unless told otherwise
        source, trained = bundle.load(init)
        network = read_json(bundle.bundle_directory(init) / bundle.NETWORK_FILE, default=_NETWORK)
        if finds_people and trained.skeleton.parts != PERSON1.parts:
            # the features of a network of poses, in a network that looks at whole photographs
            network |= {key: PERSON_NETWORK[key] for key in ("center_map", "input_size")}
        else:
            base = trained
    spec = base.replace(**changes, skeleton=skeleton_of_records(people, skeleton, base.skeleton))
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
    if spec.part_sigma < spec.stride:
        click.echo(
            f"--part-sigma is {spec.part_sigma:g} pixels, less than a cell of the belief maps ({spec.stride}): so "
            f"narrow peaks are learnt late in short trainings; try {spec.stride + 1}."
        )
    click.echo(
        f"{model.count_params():,} parameters, {len(people)} people, {len(held_out)} held out"
    )
    callbacks = ()
    if tensorboard:
        from ...training.tensorboard import tensorboard_callbacks

        callbacks = tensorboard_callbacks(tensorboard, held_out or people, spec)
    history = training.train(
        model,
        people,
        held_out,
        settings,
        spec,
        directory=out,
        augment=augment,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=callbacks,
    )
    # not before: a training that is refused leaves what it was refused for as it was
    write_json(out / bundle.NETWORK_FILE, network)
    plot_training(out / "log.csv", out / "curves.png")
    if not history.epoch:
        click.echo(f"This training has finished; --epochs more than {settings.epochs} goes on.")
    click.echo(f"The bundle is in {out}; next: keras-cpm evaluate {out} RECORDS.jsonl")
