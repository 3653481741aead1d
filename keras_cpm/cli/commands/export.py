"""`keras-cpm export`: a bundle for servers, phones and other engines."""

import click

from ...export.quantize import KINDS
from ..console import echo, load_tensorflow, silent_stderr
from ..options import PATH
from ..outputs import guard

CALIBRATED, COMPARED = 100, 50


@click.command()
@click.argument("model")
@click.option("--to", "target", type=click.Choice(["savedmodel", "tflite", "onnx"]), required=True)
@click.option(
    "--out", type=PATH, required=True, help="A folder (savedmodel), or a .tflite or .onnx file."
)
@click.option(
    "--quantize",
    type=click.Choice(KINDS),
    default="none",
    show_default=True,
    help="Of a .tflite: half the size (float16), a quarter (dynamic, int8); of an .onnx: int8.",
)
@click.option("--calibrate", type=PATH, help="Records of people, 100 of whom int8 is fitted to.")
@click.option(
    "--input",
    "input_type",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="Of a .tflite or .onnx: the numbers of its image.",
)
@click.option(
    "--person-model",
    help="A person network, such as cpm-light-person: a savedmodel with the signature people.",
)
@click.option("--check", type=PATH, help="Records: compares keypoints on the first 50 images.")
def export(model, target, out, quantize, calibrate, input_type, person_model, check):
    """Writes MODEL for TensorFlow Serving (savedmodel), for phones (tflite) or others (onnx).

    `keras-cpm verify OUT` then tests it on the machine where it is to run. A SavedModel is a
    program to whoever runs it: take one only from somebody you trust.
    """
    if target == "savedmodel" and (quantize != "none" or calibrate or input_type != "float32"):
        raise click.UsageError("--quantize, --calibrate and --input need --to tflite or onnx.")
    if target == "onnx" and quantize in ("float16", "dynamic"):
        raise click.UsageError("--quantize float16 and dynamic need --to tflite.")
    if target != "savedmodel" and person_model:
        raise click.UsageError(
            "--person-model needs --to savedmodel; else export the person network by itself, to a "
            f"second .{target}."
        )
    if quantize == "int8" and not calibrate:
        raise click.UsageError("--quantize int8 needs --calibrate RECORDS.")
    guard([("--out", out)], [one for one in (model, person_model, calibrate, check) if one], True)
    load_tensorflow()
    import numpy as np

    from ...data.jsonl import read_records
    from ...export import compare, onnx_file, saved_model, tflite
    from ...models import bundle

    network, spec = bundle.load(model)
    if target == "savedmodel":
        person = bundle.load(person_model) if person_model else None
        saved_model.export_saved_model(network, spec, out, person=person)
        people = ", people" if person else ""
        echo(f"{out / '1'}: signatures serving_default, boxes, crops, beliefs{people}")
    else:
        people = read_records(calibrate)[:CALIBRATED] if calibrate else ()
        write = tflite.export_tflite if target == "tflite" else onnx_file.export_onnx
        write(network, spec, out, quantize=quantize, calibration=people, input_type=input_type)
        echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB; outputs keypoints, scores, beliefs")
    if check:
        compared = read_records(check)[:COMPARED]
        with silent_stderr():
            measured = compare.compare(network, spec, compared, out)
        difference = measured.checked()
        echo(
            f"{len(compared)} images: keypoints differ by at most {difference:.5f} px, "
            f"half of them by less than {np.median(measured.displacements):.5f} px"
        )
