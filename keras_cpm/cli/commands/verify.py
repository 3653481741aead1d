"""`keras-cpm verify`: whether an export is right."""

import sys
import tempfile
from pathlib import Path

import click

from ..console import (
    echo,
    load_tensorflow,
    print_comparisons,
    print_parts,
    silent_stderr,
    write_json,
)
from ..options import PATH
from ..outputs import guard, overwrite


@click.command()
@click.argument("artefact")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="ARTEFACT is a MODEL: makes and compares every export whose library is here.",
)
@click.option(
    "--records",
    type=PATH,
    help="With --all: people to compare on, the first 100; drawn ones otherwise.",
)
@click.option(
    "--calibrate", type=PATH, help="With --all: other people, 100 of whom int8 is fitted to."
)
@click.option("--out", type=PATH, help="With --all: keep the exports in this folder.")
@click.option("--json", "json_path", type=PATH, help="With --all: write the tables as JSON.")
@click.option(
    "--trust",
    is_flag=True,
    help="Run a SavedModel whatever operations it has, which may read and write files.",
)
@overwrite
def verify(artefact, everything, records, calibrate, out, json_path, trust, overwrite):
    """Tests the export ARTEFACT on this machine: a .tflite or .onnx file, or a SavedModel's folder.

    Checksums, signatures, and golden vectors that lie beside it. Exits with 1 where one fails. A
    .tflite file takes any LiteRT runtime, an .onnx file ONNX Runtime; neither needs TensorFlow. A
    SavedModel is a program, and is run: one with operations that no export of ours has is refused,
    unless --trust says that you know who made it.
    """
    if everything:
        read = [path for path in (artefact, records, calibrate) if path]
        guard([("--json", json_path)], read, overwrite)
        sys.exit(not _all(artefact, records, calibrate, out, json_path))
    if records or calibrate or out or json_path:
        raise click.UsageError("--records, --calibrate, --out and --json need --all.")
    from ...export.verify import verify as run_checks

    with silent_stderr():
        checks = run_checks(artefact, trust=trust)
    for check in checks:
        echo(f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.seen}")
    sys.exit(not all(check.passed for check in checks))


def _all(model, records, calibrate, out, json_path):
    load_tensorflow()
    from ...data.jsonl import read_records
    from ...export import compare
    from ...models import bundle

    network, spec = bundle.load(model)
    people = read_records(records)[: compare.COUNT] if records else ()
    calibration = read_records(calibrate) if calibrate else ()
    with tempfile.TemporaryDirectory() as folder, silent_stderr():
        rows = compare.compare_all(
            network,
            spec,
            out or Path(folder),
            records=people,
            calibration=calibration,
            say=echo,
        )
    print_comparisons(rows, "drawn people" if not people else f"photographs of {records}")
    parts = compare.parts_table(rows, people, spec.skeleton.parts) if people else {}
    if parts:
        print_parts(parts)
    write_json(json_path, {"rows": [row.to_dict() for row in rows], "parts": parts})
    return all(row.within for row in rows)
