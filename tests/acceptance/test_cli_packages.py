"""Wheel and sdist in environments of their own, outside the clone; and the container."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.source import ROOT

pytestmark = pytest.mark.slow

CACHES = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info"
)
TINY = {
    "data.train_blocks": 8,
    "data.validation_blocks": 4,
    "data.domains[0].count": 2,
    "data.domains[1].count": 2,
    "data.domains[2].count": 2,
    "train.epochs": 1,
    "generate.new_tokens": 8,
}


def left_out(folder: str, names: list[str]) -> set[str]:
    """What is no part of the source: caches everywhere, and what verbs and builds leave at the
    top.
    """
    at_the_top = {"build", "dist", "runs", "site"} if Path(folder) == ROOT else set()
    return set(CACHES(folder, names)) | at_the_top


def run(*command: object, folder: Path, **environment: str) -> str:
    """What a command prints, without this process's PYTHONPATH; a failure shows what it said."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(each) for each in command],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("build")
    source = shutil.copytree(ROOT, folder / "source", ignore=left_out)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist"]
    run(*build, source, folder=folder)
    (sdist,), (wheel,) = (list((folder / "dist").glob(end)) for end in ("*.tar.gz", "*.whl"))
    return {"sdist": sdist, "wheel": wheel}


def environment(archive: Path, folder: Path) -> Path:
    """The bin folder of a new environment with the archive, which takes all else from this one."""
    venv.create(folder / "venv")
    bin_ = folder / "venv" / "bin"
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", bin_ / "python", "install", "--quiet"]
    run(*pip, "--no-index", "--no-deps", "--no-build-isolation", archive, folder=folder)
    return bin_


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(request, archives, tmp_path_factory):
    """The bin folder of an environment with the wheel, or the sdist, and an empty folder."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "work").mkdir()
    return environment(archives[request.param], folder), folder / "work"


def test_the_demo_runs_outside_the_clone(installed):
    bin_, work = installed
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    said = run(
        bin_ / "hyperfit", "demo", "--device", "cpu", "--out", "demo", *settings, folder=work
    )
    assert "report   demo/report/index.html" in said
    assert (work / "demo" / "report" / "index.html").is_file()
    said = run(bin_ / "hyperfit", "compare", "demo", folder=work)
    page = (work / "runs" / "compare-demo" / "index.html").read_text(encoding="utf-8")
    assert "reference/metrics.md" in page


def test_help_and_completion_come_with_it(installed):
    bin_, work = installed
    assert "--per-domain" in run(bin_ / "hyperfit", "preference", "create", "--help", folder=work)
    assert "complete -o" in run(bin_ / "hyperfit", "completion", "bash", folder=work)


def test_the_documents_are_inside_and_their_links_lead_somewhere(installed):
    bin_, work = installed
    said = run(bin_ / "hyperfit", "--help", folder=work)
    index = Path(re.search(r"^Documents: (.*)$", said, re.M)[1])
    assert bin_.parent in index.parents
    for page in index.parent.rglob("*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for link in re.findall(r"\]\(([^)\s:#]+)[^)\s]*\)", text):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page}: {link}"
    names = {page.relative_to(index.parent) for page in index.parent.rglob("*.md")}
    ours = ROOT / "docs"
    assert names == {page.relative_to(ours) for page in ours.rglob("*.md")}


def test_the_sdist_holds_what_its_tests_need(archives, tmp_path):
    with tarfile.open(archives["sdist"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    tests = ["tests/contract/test_documents.py", "tests/contract/test_packages.py"]
    said = run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests),
        folder=source,
        PYTHONPATH=str(source / "src"),
    )
    assert " passed" in said


def test_nothing_else_is_in_the_archives(archives):
    with zipfile.ZipFile(archives["wheel"]) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"hyperfitting"}
    with tarfile.open(archives["sdist"]) as archive:
        names += [name.partition("/")[2] for name in archive.getnames()]
    unwanted = re.compile(
        r"__pycache__|\.pyc$|\.venv|_cache/|\.hypothesis|^(runs|build|dist|site)/"
    )
    assert [name for name in names if unwanted.search(name)] == []


def test_the_container_runs_the_command(tmp_path):
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("`docker info` fails: no Docker server can be reached")
    run("docker", "build", "--tag", "hyperfitting-test", ROOT, folder=tmp_path)
    start = ["docker", "run", "--rm", "--volume", f"{tmp_path}:/work"]
    user = ["--user", f"{os.getuid()}:{os.getgid()}"]
    said = run(*start, *user, "hyperfitting-test", "recipes", "list", folder=tmp_path)
    assert said.startswith("demo")
