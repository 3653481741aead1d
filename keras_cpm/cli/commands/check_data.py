"""`keras-cpm check-data`: what is wrong with records."""

from collections import Counter

import click

from ...pose.spec import PoseSpec
from ..console import load_tensorflow, progress, write_json
from ..options import COUNT, PATH, fields_as_options, given

# findings of a kind that are printed
_SHOWN = 5


@click.command("check-data")
@click.argument("records", type=PATH)
@click.option(
    "--draw",
    type=PATH,
    help="Folder for pictures of samples, their labels and targets, and of findings.",
)
@click.option("--count", type=COUNT, default=16, show_default=True, help="Records on a picture.")
@click.option("--json", "json_path", type=PATH, help="Write the findings as JSON.")
@fields_as_options(PoseSpec, leave_out=("skeleton", "stride", "background", "version"))
def check_data(records, draw, count, json_path, **options):
    """Lists what is wrong with records, and draws samples, before a training finds out."""
    load_tensorflow()
    from ...data.checks.check import check
    from ...data.jsonl import read_records
    from ...data.records import skeleton_of_records

    loaded = read_records(records)
    spec = PoseSpec(skeleton=skeleton_of_records(loaded), **given(options))
    findings = check(loaded, progress=progress("checking"))
    write_json(json_path, {"records": len(loaded), "findings": findings})
    _print(findings, len(loaded))
    if draw:
        _draw(loaded, findings, spec, draw, count)
    if findings:
        raise SystemExit(1)


def _print(findings, num_records):
    totals = Counter(finding["kind"] for finding in findings)
    for kind, total in totals.items():
        for finding in [f for f in findings if f["kind"] == kind][:_SHOWN]:
            click.echo(f"{kind}, {finding['where']}: {finding['problem']}")
        if total > _SHOWN:
            click.echo(f"... and {total - _SHOWN} more of this kind (all with --json)")
    kinds = ", ".join(f"{total} {kind}" for kind, total in totals.most_common())
    counts = f"{_count(num_records, 'record')}, {_count(len(findings), 'finding')}"
    click.echo(counts + (f": {kinds}" if kinds else ""))


def _count(number, noun):
    return f"{number} {noun if number == 1 else f'{noun}s'}"


def _draw(records, findings, spec, folder, count):
    from ...data.placement import is_placed
    from ...visualization.labels import draw_findings, draw_samples

    without = {finding["record"] for finding in findings if finding["kind"] == "image"}
    rest = [r for number, r in enumerate(records) if number not in without and is_placed(r)]
    paths = [draw_findings(records, findings, spec.skeleton, folder, count)]
    if rest:
        draw_samples(rest, spec, folder, count)
        paths += [folder / "labels.png", folder / "targets.png"]
    click.echo("Drawn: " + (", ".join(str(path) for path in paths if path) or "nothing"))
