"""`keras-cpm pack`: records and their photographs, cropped and small, for a fast training."""

import click

from ..console import echo, load_tensorflow, progress
from ..options import COUNT, PATH


@click.command()
@click.argument("records", type=PATH, nargs=-1, required=True)
@click.option(
    "--out", type=PATH, required=True, help="Folder for shards and records.jsonl; empty, or begun."
)
@click.option(
    "--size",
    type=COUNT,
    default=552,
    show_default=True,
    help="Pixels of the network box in a crop at most, 1.5 x 368: room to zoom in.",
)
@click.option(
    "--margin",
    type=float,
    default=2.25,
    show_default=True,
    help="Side of a crop in network boxes; enough for boxes turned, zoomed out to 0.7, moved by "
    "0.05.",
)
@click.option("--quality", type=COUNT, default=92, show_default=True, help="Of JPEG, up to 100.")
@click.option(
    "--shard-megabytes",
    type=float,
    default=256,
    show_default=True,
    help="The most that a shard takes, in 10^6 bytes.",
)
def pack(records, out, **settings):
    """Packs the photographs of the files RECORDS, cropped around their people, into .zip shards.

    Then train on OUT/records.jsonl: packed photographs are held in memory. The same command again
    goes on where it stopped.
    """
    load_tensorflow()
    from ...data.jsonl import read_records
    from ...data.pack import RECORDS_FILE
    from ...data.pack import pack as pack_records

    people = [record for path in records for record in read_records(path)]
    packed = pack_records(people, out, progress=progress("packing"), **settings)
    shards = sorted(out.glob("shard-*.zip"))
    size = sum(path.stat().st_size for path in shards)
    echo(
        f"{len(packed)} records, {len(shards)} shards, {size / 1e6:.1f} MB; next: keras-cpm train "
        f"{out / RECORDS_FILE}"
    )
