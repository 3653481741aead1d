"""`keras-cpm export`: a bundle for servers and phones."""

import click

from ..flags import PATH
from ..terminal import load_tensorflow, silent_stderr


@click.command()
@click.argument("model")
@click.option("--to", "target", type=click.Choice(["savedmodel", "tflite"]), required=True)
@click.option("--out", type=PATH, required=True, help="A folder (savedmodel) or a .tflite file.")
@click.option("--check", type=PATH, help="Records: compares keypoints on the first 50 images.")
def export(model, target, out, check):
    """Writes MODEL for TensorFlow Serving (savedmodel) or for phones (tflite)."""
    load_tensorflow()
    from .. import agreement, bundle
    from .. import export as exporting
    from ..data.jsonl import read_records

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
