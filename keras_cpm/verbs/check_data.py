"""`keras-cpm check-data`: what is wrong with records."""

import click

from ..flags import COUNT, PATH, fields_as_options, given
from ..spec import PoseSpec
from ..terminal import load_tensorflow, progress, write_json


@click.command("check-data")
@click.argument("records", type=PATH)
@click.option(
    "--draw", type=PATH, help="Folder for pictures of samples, their labels and their targets."
)
@click.option("--count", type=COUNT, default=16, show_default=True, help="Samples to draw.")
@click.option("--json", "json_path", type=PATH, help="Write the findings as JSON.")
@fields_as_options(PoseSpec, leave_out=("skeleton", "stride", "background", "version"))
def check_data(records, draw, count, json_path, **options):
    """Lists what is wrong with records, and draws samples, before a training finds out."""
    load_tensorflow()
    from ..checks import check, draw_samples
    from ..data.jsonl import read_records
    from ..data.records import skeleton_of_records

    loaded = read_records(records)
    spec = PoseSpec(skeleton=skeleton_of_records(loaded), **given(PoseSpec, options))
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
