"""A stand-in of the hub."""

import pytest

from tests.models.hub_server import serving


@pytest.fixture
def hub_server(tmp_path, monkeypatch):
    """A `Hub` that `huggingface_hub` asks, with an empty cache."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setenv("HF_TOKEN", "of-nobody")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        # made of it when the library is imported
        where = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", where)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub
