"""What people read of a benchmark."""

import click


def print_tables(result):
    """Prints what `run.run_bench` returns: a table a choice of the allocator, a row an engine."""
    images = "1 image" if result["batch"] == 1 else f"{result['batch']} images a step"
    click.echo(
        f"{result['task']}, {result['network']}: {result['stages']} stages, "
        f"{result['parameters']:,} parameters, {images} of {result['box']} pixels, "
        f"{result['threads']} threads, median of {result['rounds']} rounds"
    )
    line = "{:40s} {:14s} {:>11s} {:>12s} {:>10s} {:>11s}"
    heads = ("engine", "precision", "ms an image", "x TensorFlow", "difference", "peak memory")
    for choice, table in result["tables"].items():
        click.echo(f"\n{choice} settings of the allocator\n{line.format(*heads)}")
        for row in table.values():
            cells = (
                f"{row['milliseconds']:.{0 if row['milliseconds'] >= 100 else 1}f}",
                _cell(row["speed"], "{:.2f}"),
                _cell(row["difference"], "{:.1e}"),
                _cell(row["peak_gb"], "{:.2f} GB"),
            )
            click.echo(line.format(row["title"], row["precision"], *cells))


def _cell(value, form):
    return "-" if value is None else form.format(value)
