"""The shell scripts that start train.py and test.py."""

import json
import os
import socket
import subprocess
import sys

import pytest
from tiny_run import UDA, run_config


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


# With real processes

#: As Slurm's: so many processes, each told its rank.
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do
    if [[ $1 == *=* ]]; then shift; continue; fi
    if [[ $1 == --ntasks ]]; then tasks=$2; fi
    shift 2
done
export SLURM_NTASKS=$tasks SLURM_NODELIST=node[3-4]
for ((rank = 0; rank < tasks; rank++)); do
    SLURM_PROCID=$rank SLURM_LOCALID=$rank "$@" &
    processes+=($!)
done
for process in "${processes[@]}"; do wait "$process" || exit 1; done
"""
SCONTROL = """#!/bin/sh
[ "$*" = "show hostnames node[3-4]" ] && echo 127.0.0.1
"""


@pytest.fixture
def run(repo, tmp_path):
    """Start a tool of the project, with what there is of Slurm."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = f"{tmp_path}:{os.environ['PATH']}"
    ours = dict(PATH=path, PYTHON=sys.executable, PORT=port, MASTER_PORT=port)
    ours["CUDA_VISIBLE_DEVICES"] = ""

    def start(tool: str, *arguments: object, **environment: str) -> subprocess.Popen:
        program = [repo / "tools" / tool]
        return subprocess.Popen(
            [*([sys.executable] if tool.endswith(".py") else []), *program]
            + [str(argument) for argument in arguments],
            env=os.environ | ours | environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def finish(*processes: subprocess.Popen) -> str:
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert not any(process.returncode for process in processes), "\n".join(outputs)
    return outputs[0]


@pytest.fixture
def config(tmp_path, coco, mpii):
    """A config whose epoch is 3 batches for one process and 2 for two."""
    path = tmp_path / "tiny.py"
    cfg = run_config(tmp_path / "work", coco, mpii, UDA, max_epochs=1)
    cfg.dump(path)
    return path


@pytest.mark.slow
def test_two_processes_train_and_test(run, config, tmp_path):
    output = finish(run("dist_train.sh", config, 2))
    assert "Epoch(train) [1][2/2]" in output
    checkpoint = tmp_path / "work/epoch_1.pth"
    together, alone = tmp_path / "together.json", tmp_path / "alone.json"
    finish(run("dist_test.sh", config, checkpoint, 2, "--out", together))
    finish(run("test.py", config, checkpoint, "--out", alone))
    expected = json.loads(alone.read_text())
    assert json.loads(together.read_text()) == pytest.approx(expected)


@pytest.mark.slow
def test_two_machines(run, config, tmp_path):
    machines = dict(NNODES="2", MASTER_ADDR="127.0.0.1")
    output = finish(
        *(
            run("dist_train.sh", config, 1, NODE_RANK=rank, **machines)
            for rank in ("0", "1")
        )
    )
    assert "Epoch(train) [1][2/2]" in output
    assert (tmp_path / "work/epoch_1.pth").is_file()


@pytest.mark.slow
def test_slurm_without_gpus(run, config, tmp_path):
    settings = dict(GPUS="2", SRUN_ARGS="--gres=none")
    work_dir = tmp_path / "slurm"
    output = finish(run("slurm_train.sh", "cpu", "job", config, work_dir, **settings))
    assert "Epoch(train) [1][2/2]" in output
    checkpoint = work_dir / "epoch_1.pth"
    finish(run("slurm_test.sh", "cpu", "job", config, checkpoint, **settings))
