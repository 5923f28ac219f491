"""The extension and the package fit, or an error says what to do."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from stripe_fdw.host import package_files
from stripe_fdw.host.package_files import PackageWatch, build_identity, check_build
from stripe_fdw.host.sql_errors import HostError
from stripe_fdw.version import __version__


def test_the_build_is_the_version_and_the_c_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = build_identity()
    assert known.startswith(f"{__version__}+")
    check_build(known)
    shutil.copytree(package_files._HOST / "c", tmp_path / "c")
    monkeypatch.setattr(package_files, "_HOST", tmp_path)
    build_identity.cache_clear()
    try:
        assert build_identity() == known
        with (tmp_path / "c" / "scan.c").open("a") as file:
            file.write("\n")
        build_identity.cache_clear()
        assert build_identity() != known
        with pytest.raises(HostError, match="another build"):
            check_build(known)
    finally:
        build_identity.cache_clear()


@pytest.mark.parametrize("compiled", ["", "0.0.9", "9.9+abc", __version__, f"{__version__}+"])
def test_another_build_is_refused_with_what_to_run(compiled: str) -> None:
    with pytest.raises(HostError) as caught:
        check_build(compiled)
    assert "stripe-fdw host install" in str(caught.value.hint)


def test_nothing_more_is_imported_of_a_package_that_was_installed_anew(tmp_path: Path) -> None:
    file = tmp_path / "__init__.py"
    file.write_text("")
    watch = PackageWatch(file)
    assert watch.find_spec("stripe_fdw.api.client", None) is None
    os.utime(file, ns=(1, 1))
    assert watch.find_spec("decimal", None) is None
    with pytest.raises(HostError, match="installed anew while this session had it loaded"):
        watch.find_spec("stripe_fdw.api.client", None)
    file.unlink()
    with pytest.raises(HostError):
        watch.find_spec("stripe_fdw.api.client", None)


def test_a_server_that_keeps_the_extension_is_to_be_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "stripe_fdw.host.preload", raising=False)
    with pytest.raises(HostError) as caught:
        check_build("0.0.9")
    assert str(caught.value.hint).endswith("then connect again.")
    monkeypatch.setitem(sys.modules, "stripe_fdw.host.preload", package_files)
    with pytest.raises(HostError) as caught:
        check_build("0.0.9")
    assert str(caught.value.hint).endswith("then restart the server.")
