"""The shell scripts that start train.py and test.py."""

import os
import subprocess

import pytest


@pytest.fixture
def launch(repo, tmp_path):
    """Run a script, with programs that print their arguments, one a line."""
    for name in ("python", "srun"):
        stub = tmp_path / name
        stub.write_text(
            '#!/bin/sh\necho "PYTHONPATH=$PYTHONPATH"\nprintf "%s\\n" "$@"\n'
        )
        stub.chmod(0o755)

    def run(script: str, *arguments: str, **environment: str):
        env = {k: v for k, v in os.environ.items() if k not in ("PORT", "NNODES")}
        env |= {"PATH": f"{tmp_path}:{env['PATH']}", "PYTHONPATH": "mine"}
        return subprocess.run(
            [repo / "tools" / script, *arguments],
            env=env | environment,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )

    return run


@pytest.mark.parametrize(
    "script, arguments",
    [
        ("dist_train.sh", ["my config.py", "2"]),
        ("dist_test.sh", ["my config.py", "a b.pth", "2"]),
    ],
)
def test_dist(launch, repo, script, arguments):
    options = ["--cfg-options", 'key="[a, b]"', "empty="]
    result = launch(script, *arguments, *options, NNODES="3", NODE_RANK="1", PORT="7")
    lines = result.stdout.splitlines()
    assert lines[0] == f"PYTHONPATH={repo}/tools/..:mine"
    assert lines[1:3] == ["-m", "torch.distributed.run"]
    settings = dict(zip(lines[3:13:2], lines[4:13:2], strict=True))
    assert settings == {
        "--nnodes": "3",
        "--node-rank": "1",
        "--master-addr": "127.0.0.1",
        "--master-port": "7",
        "--nproc-per-node": "2",
    }
    tool = script.removeprefix("dist_").removesuffix(".sh")
    assert lines[13:] == [
        f"{repo}/tools/{tool}.py",
        *arguments[:-1],
        "--launcher",
        "pytorch",
        *options,
    ]


@pytest.mark.parametrize(
    "script, given, passed",
    [
        ("slurm_train.sh", ["a b.py", "my dir"], ["a b.py", "--work-dir", "my dir"]),
        ("slurm_test.sh", ["a b.py", "c.pth"], ["a b.py", "c.pth"]),
    ],
)
def test_slurm(launch, repo, script, given, passed):
    result = launch(
        script, "gpu", "job", *given, "--amp x", GPUS="4", SRUN_ARGS="--mem 8G"
    )
    lines = result.stdout.splitlines()
    for option, value in (
        ("--partition", "gpu"),
        ("--job-name", "job"),
        ("--gres", "gpu:4"),
        ("--ntasks", "4"),
        ("--ntasks-per-node", "4"),
        ("--mem", "8G"),
    ):
        assert lines[lines.index(option) + 1] == value
    tool = script.removeprefix("slurm_").removesuffix(".sh")
    start = lines.index("-u")
    assert lines[start:] == [
        "-u",
        f"{repo}/tools/{tool}.py",
        *passed,
        "--launcher",
        "slurm",
        "--amp x",
    ]


@pytest.mark.parametrize(
    "script", ["dist_train.sh", "dist_test.sh", "slurm_train.sh", "slurm_test.sh"]
)
def test_usage(launch, script):
    result = launch(script, "config.py")
    assert result.returncode == 2
    assert "usage:" in result.stderr and "CONFIG" in result.stderr
