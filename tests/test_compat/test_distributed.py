import pytest
from mmengine.config import Config
from torch import distributed

from mmpose_da.compat.distributed import init_dist_on_cpu, torchrun_variables

SLURM = dict(SLURM_PROCID="5", SLURM_NTASKS="8", SLURM_LOCALID="1")


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A `scontrol` that knows one list of hosts."""
    program = tmp_path / "scontrol"
    program.write_text('#!/bin/sh\n[ "$*" = "show hostnames n[3-4]" ] && echo n3 n4\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_slurm(scontrol):
    variables = torchrun_variables("slurm", dict(SLURM, SLURM_NODELIST="n[3-4]"))
    assert variables == dict(
        RANK="5",
        WORLD_SIZE="8",
        LOCAL_RANK="1",
        MASTER_ADDR="n3",
        MASTER_PORT="29500",
    )


@pytest.mark.parametrize(
    "launcher, given",
    [
        ("slurm", SLURM),
        (
            "mpi",
            dict(
                OMPI_COMM_WORLD_RANK="5",
                OMPI_COMM_WORLD_SIZE="8",
                OMPI_COMM_WORLD_LOCAL_RANK="1",
            ),
        ),
    ],
)
def test_master_that_is_given(launcher, given):
    master = dict(MASTER_ADDR="here", MASTER_PORT="7")
    variables = torchrun_variables(launcher, given | master)
    assert variables == dict(RANK="5", WORLD_SIZE="8", LOCAL_RANK="1", **master)


def test_torchrun_has_set_its_own():
    assert torchrun_variables("pytorch", {}) == {}


@pytest.mark.parametrize(
    "launcher, given, message",
    [
        ("slurm", dict(SLURM_NTASKS="2"), "SLURM_PROCID.* srun"),
        ("mpi", {}, "OMPI_COMM_WORLD_RANK.* mpirun"),
        ("slurm", SLURM, "MASTER_ADDR"),
    ],
)
def test_missing_variables_are_named(launcher, given, message):
    with pytest.raises(ValueError, match=message):
        torchrun_variables(launcher, given)


@pytest.mark.parametrize(
    "launcher, device", [("none", "cpu"), ("pytorch", "cuda"), ("slurm", "cuda")]
)
def test_the_rest_is_left_to_mmengine(launcher, device, monkeypatch):
    monkeypatch.setattr("mmpose_da.compat.distributed.get_device", lambda: device)
    cfg = Config(dict(launcher=launcher))
    init_dist_on_cpu(cfg)
    assert cfg.to_dict() == dict(launcher=launcher)
    assert not distributed.is_initialized()


def test_settings_of_the_config(monkeypatch):
    groups = []
    monkeypatch.setattr("mmpose_da.compat.distributed.get_device", lambda: "cpu")
    monkeypatch.setattr(
        distributed, "init_process_group", lambda *args, **kwargs: groups.append(kwargs)
    )
    cfg = Config(
        dict(
            launcher="pytorch",
            find_unused_parameters=True,
            env_cfg=dict(dist_cfg=dict(backend="nccl", timeout=90)),
        )
    )
    init_dist_on_cpu(cfg)
    assert groups[0]["timeout"].total_seconds() == 90
    assert cfg.model_wrapper_cfg == dict(
        broadcast_buffers=False, find_unused_parameters=True, device_ids=None
    )
    cfg.model_wrapper_cfg = dict(type="Mine", broadcast_buffers=True)
    init_dist_on_cpu(cfg)
    assert cfg.model_wrapper_cfg == dict(
        type="Mine", broadcast_buffers=True, device_ids=None
    )
