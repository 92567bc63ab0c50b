"""The fixtures of the transfer tests serve here, too; no configuration of the user's is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transfer.conftest import _fresh_health, get, payload, start, store  # noqa: F401


@pytest.fixture(autouse=True)
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and no settings of pip, npm or the hub."""
    folder = tmp_path / "home"
    folder.mkdir()
    if request.node.get_closest_marker("network"):
        return folder
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "CERT", "PROXY", "TRUSTED_HOST", "NO_INDEX"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    for name in ("HF_HOME", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry", "NPM_CONFIG_USERCONFIG"):
        monkeypatch.delenv(name, raising=False)
    return folder
