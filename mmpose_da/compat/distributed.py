"""Several processes on a machine without CUDA.

MMEngine's ``init_dist`` selects a CUDA device, and its ``Runner`` hands
DistributedDataParallel one. A process group that is there before the Runner, and a
``device_ids`` in the config, keep it from both.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import timedelta

from mmengine.config import Config
from mmengine.device import get_device
from torch import distributed

#: What torchrun sets, by what other launchers call it.
_VARIABLES = dict(
    slurm=dict(
        RANK="SLURM_PROCID", WORLD_SIZE="SLURM_NTASKS", LOCAL_RANK="SLURM_LOCALID"
    ),
    mpi=dict(
        RANK="OMPI_COMM_WORLD_RANK",
        WORLD_SIZE="OMPI_COMM_WORLD_SIZE",
        LOCAL_RANK="OMPI_COMM_WORLD_LOCAL_RANK",
    ),
)
_DEFAULT_PORT = "29500"


def init_dist_on_cpu(cfg: Config) -> None:
    """Make the processes of a run on CPUs one group, which talks by gloo.

    To be called before the Runner is made. It does nothing in a run of one process, or
    where there is an accelerator: MMEngine knows what to do then.

    Args:
        cfg (Config): What the Runner is to be made from; its ``launcher`` says what has
            started the processes, and ``env_cfg.dist_cfg.timeout`` how many seconds one
            of them waits for another. Its ``model_wrapper_cfg`` is changed in place.

    Raises:
        ValueError: The launcher has not set the variables by which a process knows its
            rank.
    """
    if cfg.get("launcher", "none") == "none" or get_device() != "cpu":
        return
    os.environ.update(torchrun_variables(cfg.launcher, os.environ))
    seconds = cfg.get("env_cfg", {}).get("dist_cfg", {}).get("timeout")
    distributed.init_process_group(
        "gloo", timeout=None if seconds is None else timedelta(seconds=seconds)
    )
    # What the Runner takes by default, but for the device.
    wrapper = cfg.get("model_wrapper_cfg") or dict(
        broadcast_buffers=False,
        find_unused_parameters=cfg.get("find_unused_parameters", False),
    )
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def torchrun_variables(launcher: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Say what a launcher has set in the variables that torchrun sets.

    Args:
        launcher (str): 'pytorch', which is torchrun, 'slurm' or 'mpi'.
        environ (Mapping[str, str]): What the launcher has set.

    Returns:
        dict[str, str]: The variables to set, for 'pytorch' none.

    Raises:
        ValueError: A variable is missing.
    """
    if launcher == "pytorch":
        return {}
    names = _VARIABLES[launcher]
    missing = [name for name in names.values() if name not in environ]
    if missing:
        raise ValueError(
            f"--launcher {launcher} needs the environment variables {missing}: start "
            f"the processes with {dict(slurm='srun', mpi='mpirun')[launcher]}"
        )
    variables = {name: environ[given] for name, given in names.items()}
    variables["MASTER_ADDR"] = environ.get("MASTER_ADDR") or _first_host(environ)
    variables["MASTER_PORT"] = environ.get("MASTER_PORT", _DEFAULT_PORT)
    return variables


def _first_host(environ: Mapping[str, str]) -> str:
    """The first host of Slurm's compact list, such as ``node[3-5,7]``."""
    if "SLURM_NODELIST" not in environ:
        raise ValueError(
            "set the environment variable MASTER_ADDR to the host of the first process"
        )
    hosts = subprocess.run(
        ["scontrol", "show", "hostnames", environ["SLURM_NODELIST"]],
        capture_output=True,
        text=True,
        check=True,
    )
    return hosts.stdout.split()[0]
