"""Distributed runs on machines without CUDA.

MMEngine's ``init_dist`` selects a CUDA device, and its ``Runner`` passes one to
DistributedDataParallel. A process group that exists before the Runner, and
``device_ids`` in the config, prevent both.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import timedelta

from mmengine.config import Config
from mmengine.device import get_device
from torch import distributed

#: torchrun's environment variables, and their names under other launchers.
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
    """Initialize a gloo process group for a distributed run on CPUs.

    Call this before creating the Runner. It does nothing for a run with one process or
    if an accelerator is available, since MMEngine handles these cases.

    Args:
        cfg (Config): Config of the Runner. ``launcher`` tells what started the
            processes, and ``env_cfg.dist_cfg.timeout`` how many seconds they wait for
            each other. ``model_wrapper_cfg`` is modified in place.

    Raises:
        ValueError: If the launcher did not set the variables from which a process knows
            its rank.
    """
    if cfg.get("launcher", "none") == "none" or get_device() != "cpu":
        return
    os.environ.update(torchrun_variables(cfg.launcher, os.environ))
    seconds = cfg.get("env_cfg", {}).get("dist_cfg", {}).get("timeout")
    distributed.init_process_group(
        "gloo", timeout=None if seconds is None else timedelta(seconds=seconds)
    )
    # The Runner's defaults, except for the device.
    wrapper = cfg.get("model_wrapper_cfg") or dict(
        broadcast_buffers=False,
        find_unused_parameters=cfg.get("find_unused_parameters", False),
    )
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def torchrun_variables(launcher: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Translate the environment variables of a launcher to those of torchrun.

    Args:
        launcher (str): ``'pytorch'``, which is torchrun, ``'slurm'``, or ``'mpi'``.
        environ (Mapping[str, str]): Environment set by the launcher.

    Returns:
        dict[str, str]: Variables to set; empty for ``'pytorch'``.

    Raises:
        ValueError: If a variable is missing.
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
    """Return the first host of Slurm's compact list, such as ``node[3-5,7]``."""
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
