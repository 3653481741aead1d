"""`keras-cpm explain`: what one part at one stage looks at."""

import click

from ..console import echo, load_tensorflow, silent_stderr
from ..options import PATH
from ..outputs import guard, overwrite

_METHODS = ("saliency", "smoothgrad", "gradcam++", "scorecam")


@click.command()
@click.argument("model")
@click.argument("image", type=PATH)
@click.option("--part", required=True, help="Such as left_wrist.")
@click.option(
    "--stage",
    type=click.IntRange(min=1),
    multiple=True,
    help="May be given again; all unless given.",
)
@click.option("--method", type=click.Choice(_METHODS), default="smoothgrad", show_default=True)
@click.option(
    "--box", type=float, nargs=4, metavar="X0 Y0 X1 Y1", help="Around the person, in image pixels."
)
@click.option("--draw", type=PATH, default="explained.png", show_default=True)
@overwrite
def explain(model, image, part, stage, method, box, draw, overwrite):
    """Draws what a PART of MODEL looks at in IMAGE, stage by stage: belief, and what made it.

    Prints how much of that lies near the part.
    """
    guard([("--draw", draw)], [model, image], overwrite)
    load_tensorflow()
    from ...images.crop import cut_box
    from ...inference.predictor import Predictor
    from ...models import bundle
    from ...visualization import results, saliency
    from ...visualization.canvas import save_image

    network, spec = bundle.load(model)
    if part not in (parts := spec.skeleton.parts):
        raise click.UsageError(f"--part must be one of {', '.join(parts)}. Received: {part}")
    stages = sorted(set(stage)) or range(1, len(network.output_names) + 1)
    pose = Predictor(network, spec)(image, box=box or None)
    crop = cut_box(image, pose.network_from_image, spec)
    heats = {}
    for one in stages:
        with silent_stderr():
            heats[one] = saliency.explain(network, spec, crop, part, stage=one, method=method)
        point = results.peak_in_box(pose, part, one)
        near = saliency.concentration(heats[one], point, spec.person_height / 10)
        echo(
            f"stage {one}: of the {method} map, {near:.1f} times more lies within a tenth of a "
            "person around the peak than if it lay everywhere"
        )
    save_image(draw, results.draw_explained(crop, pose, part, heats))
    echo(f"Written: {draw}")
