"""Where an API server and a kubectl come from."""

from pathlib import Path

import pytest

from backends import kube_program
from backends.building import digest_of
from vmsim.problems import Unreachable


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and nothing to find but what a test puts there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for name in ("VMSIM_KUBEONE", "KUBEBUILDER_ASSETS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def program_at(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def kept(place: Path, name: str) -> Path:
    stem = f"{name}-{kube_program.version()}-{kube_program.source_digest()}"
    path = program_at(place / "vmsim" / "kube" / f"{stem}-x")
    return path.rename(path.with_name(f"{stem}-{digest_of(path)}"))


def test_named_server_is_taken_before_the_one_that_was_built(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = kept(place, "kubeone")
    assert kube_program.find(build=False).command == (str(built),)

    named = program_at(place / "named")
    monkeypatch.setenv("VMSIM_KUBEONE", str(named))
    assert kube_program.find(build=False).command == (str(named),)

    monkeypatch.setenv("VMSIM_KUBEONE", "/nowhere")
    with pytest.raises(Unreachable, match="VMSIM_KUBEONE=/nowhere"):
        kube_program.find(build=False)


def test_etcd_and_server_of_the_machine_are_taken_together_before_a_build(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, assets = kept(place, "kubeone"), place / "assets"
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    etcd = program_at(assets / "etcd", "#!/bin/sh\necho etcd Version: 3.6.8\necho Git SHA: no\n")
    assert kube_program.find(build=False).command == (str(built),)

    server = program_at(assets / "kube-apiserver", "#!/bin/sh\necho Kubernetes v1.36.3\n")
    there = kube_program.find(build=False)
    assert there.command[-3:] == ("backends.kube_pair", str(etcd), str(server))
    assert there.versions == {"etcd": "v3.6.8", "kube-apiserver": "v1.36.3"}
    assert str(there).endswith("(etcd v3.6.8, kube-apiserver v1.36.3)")

    monkeypatch.delenv("KUBEBUILDER_ASSETS")
    monkeypatch.setenv("PATH", str(assets))
    assert kube_program.find(build=False) == there

    program_at(server, "#!/bin/sh\necho no such flag >&2\n")
    with pytest.raises(Unreachable, match="kube-apiserver --version tells none: no such flag"):
        kube_program.find(build=False)


def test_server_that_was_damaged_or_built_from_other_sources_is_not_taken(place: Path) -> None:
    built = kept(place, "kubeone")
    built.write_text("damaged")
    built.with_name("kubeone-v1.0.0-000000000000-0000000000000000").touch()
    with pytest.raises(Unreachable, match="make kube"):
        kube_program.find(build=False)


def test_kubectl_is_that_of_the_assets_then_of_the_path_then_built(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unreachable, match="no kubectl on PATH"):
        kube_program.kubectl(build=False)
    built = kept(place, "kubectl")
    assert kube_program.kubectl(build=False) == built
    on_path = program_at(place / "path" / "kubectl")
    assert kube_program.kubectl(build=False) == on_path
    monkeypatch.setenv("KUBEBUILDER_ASSETS", "")
    assert kube_program.kubectl(build=False) == on_path
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(place / "assets"))
    assert kube_program.kubectl(build=False) == on_path
    asset = program_at(place / "assets" / "kubectl")
    assert kube_program.kubectl(build=False) == asset


def test_build_is_asked_of_go_with_the_version_in_it(place: Path) -> None:
    told = place / "told"
    text = f'#!/bin/sh\necho "$CGO_ENABLED" "$@" > {told}\n'
    text += 'for last; do out=$before; before=$last; done\necho built > "$out"\n'
    program_at(place / "path" / "go", text)

    found = kube_program.find()

    words = told.read_text().split()
    assert words[:4] == ["0", "build", "-p", "2"]
    assert words[-1] == "."
    about = "k8s.io/component-base/version.gitVersion"
    assert f"{about}={kube_program.version()}" in words
    assert Path(*found.command).read_text() == "built\n"
    assert kube_program.find(build=False) == found
