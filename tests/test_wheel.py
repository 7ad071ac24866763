"""An installed wheel, without the repository beside it."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml


@pytest.fixture(scope="module")
def installed(repo, tmp_path_factory):
    """A folder for PYTHONPATH with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".*", "work_dirs", "data", "build", "*.egg-info")
    shutil.copytree(repo, source, ignore=ignored)
    build = [sys.executable, "setup.py", "bdist_wheel", "--dist-dir", str(folder)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    shutil.rmtree(source)
    return folder / "site"


@pytest.mark.slow
def test_tools_and_configs_work_from_a_wheel(installed, tmp_path):
    environment = dict(os.environ, PYTHONPATH=str(installed), OMP_NUM_THREADS="1")
    tools = installed / "mmpose_da" / ".mim" / "tools"

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    package = run("-c", "import mmpose_da; print(mmpose_da.__file__)")
    assert str(installed) in package
    index = yaml.safe_load((tools.parent / "model-index.yml").read_text())
    assert all((tools.parent / path).is_file() for path in index["Import"])
    counts = ["--studio", "train=64", "--street", "train=64", "val=16", "--workers=0"]
    run(str(tools / "render_domains.py"), *counts)
    assert "one seed" in run(str(tools / "demo.py"), "--iters", "2")
    config = tools.parent / "configs/da/studio2street_res18_mean-teacher.py"
    checkpoint = "work_dirs/demo/adapted/iter_2.pth"
    out = run(str(tools / "test.py"), str(config), checkpoint)
    assert "PCKh@0.5 (12 joints)" in out
