"""`keras-cpm import-caffe`: the authors' weights to a bundle, without Caffe."""

import click

from ..console import echo, load_tensorflow, write_json
from ..options import PATH
from ..outputs import guard, overwrite

_NETWORKS = ("mpii", "lsp", "flic", "mpii-vgg", "person")


@click.command("import-caffe")
@click.argument("file", type=PATH, required=False)
@click.option("--net", type=click.Choice(_NETWORKS), required=True, help="The released network.")
@click.option("--out", type=PATH, help="Folder for the bundle.")
@click.option("--json", "json_path", type=PATH, help="Write the report layer by layer as JSON.")
@overwrite
def import_caffe(file, net, out, json_path, overwrite):
    """Turns FILE.caffemodel of a released network into a bundle, layer by layer accounted for.

    Without FILE it says which files there are, where they were published and under what licence.
    """
    if file is not None and out is None:
        raise click.UsageError("--out must name the folder for the bundle.")
    guard([("--json", json_path)], [file] if file else [], overwrite)
    load_tensorflow()
    import dataclasses

    from ...models import bundle
    from ...models.caffe.weights import load_caffe_weights
    from ...models.released import RELEASED, build_released, released_spec, where_weights_are

    if file is None or not file.is_file():
        found = "No file was given." if file is None else f"There is no file {file}."
        one = next(iter(RELEASED[net].files))
        raise click.ClickException(
            f"{found} {where_weights_are(net)}\nPut one anywhere and name it: "
            f"keras-cpm import-caffe PATH/{one} --net {net} --out {net}"
        )
    model = build_released(net)
    filled = load_caffe_weights(model, file)
    bundle.save_bundle(out, model, released_spec(net), network=RELEASED[net].network)
    write_json(json_path, [dataclasses.asdict(layer) for layer in filled])
    for layer in filled:
        echo(str(layer))
    echo(
        f"{len(filled)} layers, {model.count_params():,} parameters; nothing missing, nothing left "
        "over"
    )
    echo(f"The bundle is in {out}; the weights keep the authors' licence.")
