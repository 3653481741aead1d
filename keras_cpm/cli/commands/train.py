"""`keras-cpm train`: records to a bundle."""

import sys

import click

from ...data.augment import AugmentSpec
from ...pose.spec import PoseSpec
from ...training.recipes import RECIPES, TrainSpec
from ..console import echo, load_tensorflow
from ..options import COUNT, PATH, fields_as_options, given, in_flags
from ..outputs import guard


@click.command()
@click.argument("records", type=PATH, nargs=-1, required=True)
@click.option(
    "--out", type=PATH, required=True, help="Folder for the bundle, the log and the checkpoint."
)
@click.option(
    "--validation", type=PATH, multiple=True, help="Records of other people; may be given again."
)
@click.option(
    "--weight",
    "weights",
    type=(PATH, COUNT),
    multiple=True,
    help="Of FILE, one of RECORDS, every person comes so many times an epoch; may be given again.",
    metavar="FILE COUNT",
)
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="modern",
    show_default=True,
    help="release is the paper's training whole, its network too.",
)
@click.option("--init", help="Start from a trained MODEL, also of another skeleton.")
@click.option("--stages", type=int, help="T of the paper; 3 unless given, 6 of the release.")
@click.option(
    "--backbone",
    type=click.Choice(["cpm", "vgg19", "vgg19-person", "light", "lean"]),
    help="light unless given, cpm of the release.",
)
@click.option(
    "--stage-block",
    type=click.Choice(["classic", "vgg", "residual", "light", "nested"]),
    help="light unless given, classic of the release.",
)
@click.option(
    "--width",
    type=int,
    help="Filters of towers and stages; 64 unless given, 128 of the release.",
)
@click.option("--dropout", type=float, help="In stage 1; 0 unless given, 0.5 of the release.")
@click.option(
    "--skeleton",
    help="Name of a built-in skeleton, or a file of one (.json); otherwise that of the records.",
)
@fields_as_options(PoseSpec, leave_out=("skeleton", "version"))
@fields_as_options(AugmentSpec)
@fields_as_options(TrainSpec)
@click.option(
    "--tracker",
    type=click.Choice(["tensorboard", "wandb", "mlflow"]),
    help="Gets the settings, losses and PCK of every stage, pictures of beliefs; with the extra of "
    "that name.",
)
@click.option(
    "--tensorboard", type=PATH, help="Folder of logs for it, as of --tracker tensorboard."
)
@click.option(
    "--coordinator",
    envvar="JAX_COORDINATOR_ADDRESS",
    help="To train in several processes: HOST:PORT of process 0, or auto, where Slurm, Open MPI, "
    "Kubernetes or a TPU pod says it.",
)
@click.option("--processes", type=COUNT, envvar="JAX_NUM_PROCESSES", help="How many there are.")
@click.option(
    "--process", type=int, envvar="JAX_PROCESS_ID", help="Which this is, 0 to one less than those."
)
@click.option(
    "--heartbeat", type=COUNT, help="Seconds of silence after which a process counts as lost."
)
@click.pass_context
def train(context, records, out, coordinator, processes, process, heartbeat, **options):
    """Trains on the files RECORDS; the same command again goes on where it stopped."""
    _check_outputs(records, out, **options)
    load_tensorflow()
    from ...training.joining import joined

    with joined(coordinator, processes, process, heartbeat):
        _train(context, records, out, **options)


def _check_outputs(records, out, validation, init, **_):
    """Refuses outputs that would be written over."""
    files = [("--out", out / name) for name in ("model.keras", "spec.json", "network.json")]
    guard(files, [*records, *validation, *([init] if init else [])], True)


def _train(context, records, out, validation, weights, tracker, tensorboard, **options):
    from ...data.jsonl import read_records
    from ...training.plan import plan_training
    from ...training.processes import is_first
    from ...training.throughput import advice
    from ...training.train import LOG_FILE
    from ...visualization.plots import plot_training

    say = echo if is_first() else lambda line: None
    times = _times(records, weights)
    people = [record for path in records for record in times[path] * read_records(path)]
    held_out = [record for path in validation for record in read_records(path)]
    plan = plan_training(people, **given(options))
    model = plan.build(say=say)
    faster = advice(plan.recipe.precision)
    for note in [*plan.notes, *([faster] if faster else [])]:
        say(in_flags(note, context.command))
    say(f"{model.count_params():,} parameters, {len(people)} people, {len(held_out)} held out")
    callbacks = ()
    if tensorboard and is_first():
        from ...training.trackers import tensorboard_callbacks

        callbacks = tensorboard_callbacks(tensorboard, held_out or people, plan.spec)
    verbose = 1 if sys.stdout.isatty() else 2
    logging = {"verbose": verbose, "callbacks": callbacks, "tracker": tracker}
    history = plan.train(model, people, held_out, directory=out, **logging)
    if is_first():
        plot_training(out / LOG_FILE, out / "curves.png")
    if not history.epoch:
        say(f"This training has finished; --epochs more than {plan.recipe.epochs} goes on.")
    say(f"The bundle is in {out}; next: keras-cpm evaluate {out} RECORDS.jsonl")


def _times(records, weights):
    """How often the people of each file come in an epoch."""
    for path, count in weights:
        if path not in records:
            raise ValueError(
                f"`weights` must be of files among RECORDS. Received: {path} {count}, the records "
                f"are {', '.join(map(str, records))}"
            )
    return dict.fromkeys(records, 1) | dict(weights)
