"""What is printed of a benchmark."""

from benchmarks.engines import report

ROW = {"title": "keras_cpm", "precision": "float32"}
FACTS = {"task": "inference", "network": "it", "stages": 6, "parameters": 31_000_000, "box": 368}


def printed(capsys, row, **facts):
    tables = {"without": {"keras_cpm": {**ROW, **row}}}
    report.print_tables({**FACTS, "batch": 1, "threads": 2, "rounds": 7, **facts, "tables": tables})
    return capsys.readouterr().out.splitlines()


def test_what_was_measured(capsys):
    row = {"milliseconds": 99.94, "speed": 2.5, "difference": 1.2e-6, "peak_gb": 1.234}
    first, _, choice, heads, line = printed(capsys, row)
    assert first == (
        "inference, it: 6 stages, 31,000,000 parameters, 1 image of 368 pixels, 2 threads, "
        "median of 7 rounds"
    )
    assert choice == "without settings of the allocator" and "ms an image" in heads
    assert line.split() == ["keras_cpm", "float32", "99.9", "2.50", "1.2e-06", "1.23", "GB"]


def test_what_nobody_knows_is_a_dash(capsys):
    row = {"milliseconds": 1234.5, "speed": None, "difference": None, "peak_gb": None}
    first, *_, line = printed(capsys, row, batch=2)
    assert "2 images a step of 368 pixels" in first
    assert line.split() == ["keras_cpm", "float32", "1234", "-", "-", "-"]
