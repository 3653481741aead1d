"""`keras-cpm check-data`: what is wrong with records."""

from collections import Counter

import click

from ...pose.arithmetic import by_tensorflow
from ...pose.spec import PoseSpec
from ..console import echo, progress, without_tensorflow, write_json
from ..options import COUNT, PATH, fields_as_options, given
from ..outputs import guard, overwrite

# findings of a kind that are printed
_SHOWN = 5
# mirror pairs that are printed
_PAIRS = 20
_PICTURES = ("findings.png", "labels.png", "targets.png")


@click.command("check-data")
@click.argument("records", type=PATH)
@click.option(
    "--draw",
    type=PATH,
    help="Folder for pictures of samples, their labels and targets, and of findings.",
)
@click.option("--count", type=COUNT, default=16, show_default=True, help="Records on a picture.")
@click.option("--json", "json_path", type=PATH, help="Write the findings as JSON.")
@overwrite
@fields_as_options(PoseSpec, leave_out=("skeleton", "stride", "background", "version"))
@without_tensorflow
def check_data(records, draw, count, json_path, overwrite, **options):
    """Lists what is wrong with records, and draws samples, before a training finds out."""
    pictures = [("--draw", draw / name) for name in _PICTURES] if draw else []
    outputs = [("--json", json_path), *pictures]
    guard(outputs, [records], overwrite)
    from ...data.checks.check import check
    from ...data.jsonl import read_records
    from ...data.records import skeleton_of_records

    loaded = read_records(records)
    guard(outputs, [record.image for record in loaded], overwrite)
    spec = PoseSpec(skeleton=skeleton_of_records(loaded), **given(options))
    findings = check(loaded, progress=progress("checking"))
    write_json(json_path, {"records": len(loaded), "findings": findings})
    _print(findings, len(loaded))
    echo(_mirror(spec.skeleton.flip_pairs))
    if draw:
        with by_tensorflow():  # as samples are drawn for a training
            _draw(loaded, findings, spec, draw, count)
    if findings:
        raise SystemExit(1)


def _print(findings, num_records):
    totals = Counter(finding["kind"] for finding in findings)
    for kind, total in totals.items():
        for finding in [f for f in findings if f["kind"] == kind][:_SHOWN]:
            echo(f"{kind}, {finding['where']}: {finding['problem']}")
        if total > _SHOWN:
            echo(f"... and {total - _SHOWN} more of this kind (all with --json)")
    kinds = ", ".join(f"{total} {kind}" for kind, total in totals.most_common())
    counts = f"{_count(num_records, 'record')}, {_count(len(findings), 'finding')}"
    echo(counts + (f": {kinds}" if kinds else ""))


def _mirror(pairs):
    if not pairs:
        return (
            "Mirror pairs: none; a mirrored sample keeps its part names. Sides are known by right "
            "and left, or R and L, in the names."
        )
    shown = ", ".join(f"{right} / {left}" for right, left in pairs[:_PAIRS])
    more = f", ... and {len(pairs) - _PAIRS} more" if len(pairs) > _PAIRS else ""
    return f"Mirror pairs: {shown}{more}"


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
    echo("Drawn: " + (", ".join(str(path) for path in paths if path) or "nothing"))
