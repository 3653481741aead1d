import pytest

import keras_cpm
from tests.cli.running import failure, run

library = pytest.importorskip("huggingface_hub", reason="needs the extra hub")
ADDRESS = "hf://somebody/pose"


@pytest.fixture(scope="module")
def folder(tiny_spec, tmp_path_factory):
    """A bundle without a card."""
    folder = tmp_path_factory.mktemp("bundle")
    options = {"backbone": "light", "stage_block": "light", "width": 8}
    keras_cpm.save_bundle(folder, keras_cpm.build_cpm(2, tiny_spec, **options), tiny_spec)
    return folder


def test_it_says_where_the_model_is(hub_server, folder):
    said = run("push", folder, ADDRESS, "--license", "mit", "--tag", "fish", "--tag", "sea")
    commit, files = hub_server.repositories["somebody/pose"][-1]
    assert said.splitlines()[-1] == f"Written: {ADDRESS}@{commit}"
    data = library.ModelCard(files["README.md"].decode()).data
    assert (data.license, data.tags[-2:]) == ("mit", ["fish", "sea"])


def test_nothing_is_sent_that_nobody_can_load(hub_server, folder, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK")
    (tmp_path / "spec.json").write_text((folder / "spec.json").read_text())
    assert "no Keras file" in failure("push", tmp_path, ADDRESS)
    assert "must be hf://OWNER/NAME" in failure("push", folder, "somebody/pose")
    assert not hub_server.asked and not hub_server.repositories


def test_who_may_not_write_is_told_so(hub_server, folder):
    hub_server.forbids = True
    assert "`hf auth login`, with a token that may write" in failure("push", folder, ADDRESS)
    assert not hub_server.repositories
