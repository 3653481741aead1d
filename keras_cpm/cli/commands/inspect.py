"""`keras-cpm inspect`: what a bundle is."""

import json

import click

from ..console import echo, load_tensorflow, write_json
from ..options import PATH
from ..outputs import guard, overwrite


@click.command()
@click.argument("model")
@click.option("--json", "json_path", type=PATH, help="Write the same as JSON.")
@overwrite
def inspect(model, json_path, overwrite):
    """Shows inputs, outputs, receptive fields and spec of MODEL."""
    guard([("--json", json_path)], [model], overwrite)
    load_tensorflow()
    from ...models import bundle
    from ...models.receptive_field import receptive_field

    network, spec = bundle.load(model)
    facts = {
        "parameters": network.count_params(),
        "built with": bundle.describe(model)[1] or {},
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
        echo(f"{name}:")
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for key, entry in rows:
            echo(f"  {key} {entry:,}" if type(entry) is int else f"  {key} {entry}")
