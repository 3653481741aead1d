"""`keras-cpm app`: what it hands to the page, see `tests/serving/test_app.py`."""

import types

import keras_cpm
from keras_cpm.serving import app
from tests.cli.running import run


def test_it_says_where_the_page_is(tiny_model, tiny_spec, monkeypatch, tmp_path):
    keras_cpm.save_bundle(tmp_path / "mine", tiny_model, tiny_spec)
    asked, waited = [], []

    def launch_app(predictor, find, **where):
        asked.append((predictor.spec.box_size, callable(find), where))
        addresses = {"local_url": "http://127.0.0.1:7870/", "share_url": None}
        return types.SimpleNamespace(**addresses, block_thread=lambda: waited.append(True))

    monkeypatch.setattr(app, "launch_app", launch_app)
    output = run("app", "--model", tmp_path / "mine", "--port", 7870)
    assert output == "Open http://127.0.0.1:7870/ in a browser; Ctrl-C ends it.\n"
    where = {"host": None, "port": 7870, "share": False}
    assert asked == [(64, True, where)] and waited == [True]
