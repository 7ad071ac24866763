"""Timing a training step against the least it consists of, on synthetic images.

For a config: (a) a step of its model on a batch of its own composition, including
preprocessing, optimizer, and EMA teacher; (b) a step of MMPose's estimator with the
same network on as many images, all labeled; (c) a forward pass of that network on the
unlabeled target images, as a teacher needs it. These take turns, so that other load on
the machine affects all of them. Weights are random, and all ramps have ended.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.datasets.transforms import GenerateTarget, PackPoseInputs
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import HOOKS, MODELS

from ..models.adaptations import Adaptation
from ..models.styles import AdaINStyle, VGGDecoder
from ..structures import DOMAINS, TARGET_UNLABELED, joint_definition
from .config import merge_options
from .machine import cpu_name

MIB = 2**20


@dataclass
class Result:
    """Measurements of one config, for a, b, and c."""

    counts: dict[str, int]  # images of each domain
    times: dict[str, list[float]]  # seconds of each step
    memory: dict[str, float] = field(default_factory=dict)  # peak MiB on the GPU
    parts: list[dict[str, float]] = field(default_factory=list)  # seconds, for a

    @property
    def ratio(self) -> float:
        a, b, c = (float(np.median(times)) for times in self.times.values())
        return a / (b + c)


def load_step_config(
    path: str,
    samples: Mapping[str, int] | None = None,
    input_size: Sequence[int] | None = None,
    options: Mapping | None = None,
) -> Config:
    """Load a config for :func:`measure`.

    Args:
        path (str): The config file.
        samples (Mapping[str, int], optional): Number of images of each domain. Defaults
            to None: those of the config.
        input_size (Sequence[int], optional): Width and height of the images. Defaults
            to None: those of the config.
        options (Mapping, optional): Options to merge into the config. Defaults to None.

    Returns:
        Config: The config, with the numbers of images in ``counts``.

    Raises:
        ValueError: If the numbers of images are not known.
    """
    cfg = Config.fromfile(path)
    merge_options(cfg, options or {})
    sampler = cfg.get("train_dataloader", {}).get("batch_sampler") or {}
    counts = samples or sampler.get("samples_per_domain") or {}
    cfg.counts = {domain: counts[domain] for domain in DOMAINS if counts.get(domain)}
    if not cfg.counts or not set(counts) <= set(DOMAINS):
        raise ValueError(f"{path} needs --samples of {DOMAINS}, but has {counts}")
    if input_size:
        codec, size = cfg.model.head.decoder, tuple(input_size)
        sizes = zip(codec.heatmap_size, size, codec.input_size, strict=True)
        codec.heatmap_size = tuple(round(h * new / old) for h, new, old in sizes)
        codec.input_size = size
    return cfg


def random_batch(cfg: Config, counts: dict[str, int]) -> dict[str, list]:
    """Create a batch of noise as the config's loader would, with random joints."""
    rng, codec = np.random.default_rng(0), cfg.model.head.decoder
    joints = joint_definition(cfg.model.joints)
    num_joints = joints["num_keypoints"]
    encode, pack = GenerateTarget(encoder=codec.to_dict()), PackPoseInputs()
    width, height = size = codec.input_size

    def sample(domain: str) -> dict:
        results = dict(
            img=rng.integers(256, size=(height, width, 3), dtype=np.uint8),
            input_size=size,
            flip_indices=joints["flip_indices"],
            bbox=np.array([[0, 0, *size]], np.float32),
            bbox_scale=np.array([size], np.float32),
            bbox_score=np.ones(1, np.float32),
        )
        if domain != TARGET_UNLABELED:
            results["keypoints"] = rng.uniform((0, 0), size, (1, num_joints, 2))
            results["keypoints_visible"] = np.ones((1, num_joints))
            results = encode.transform(results)
        packed = pack.transform(results)
        packed["data_samples"].set_metainfo(dict(domain=domain))
        if domain == TARGET_UNLABELED:
            del packed["data_samples"].gt_instance_labels
        return packed

    samples = [sample(domain) for domain, n in counts.items() for _ in range(n)]
    return {key: [s[key] for s in samples] for key in ("inputs", "data_samples")}


def adapted_model(cfg: Config) -> BaseModel:
    """Build a config's model with random weights, including those of its style."""
    model = MODELS.build(cfg.model)
    for style in model.modules():
        if isinstance(style, AdaINStyle):
            with tempfile.NamedTemporaryFile(suffix=".pth") as file:
                torch.save(VGGDecoder().state_dict(), file.name)
                style.encoder, style.decoder = None, file.name
                style.load()
    return model


def stock_model(cfg: Config) -> BaseModel:
    """Build MMPose's estimator with the same network, without any adaptation."""
    parts = ("data_preprocessor", "backbone", "neck", "head", "train_cfg")
    return TopdownPoseEstimator(**{key: cfg.model.get(key) for key in parts})


class Training:
    """Training steps of a model, always on the same batch."""

    def __init__(
        self, model: BaseModel, cfg: Config, counts: dict, device: str
    ) -> None:
        self.model, self.batch = model.to(device).train(), random_batch(cfg, counts)
        self.optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
        hooks = cfg.get("custom_hooks") or [] if hasattr(model, "adaptations") else []
        self.hooks = [HOOKS.build(h) for h in hooks if h["type"] == "EMATeacherHook"]
        for hook in self.hooks:
            hook.update(model)  # as before training: the teacher becomes a copy

    def __call__(self) -> None:
        self.model.train_step(self.batch, self.optimizer)
        for hook in self.hooks:
            hook.update(self.model)

    def parts(self) -> Iterator[tuple[str, object, str]]:
        """Yield the name of each part, with the object and the method to time."""
        yield "preprocessing", self.model.data_preprocessor, "forward"
        yield "backbone and neck", self.model, "extract_feat"
        yield "head", self.model.head, "forward"
        yield "pose loss", self.model.head, "loss"
        for name, adaptation in self.model.adaptations.items():
            for method in ("prepare", "adapt", "loss"):
                if getattr(type(adaptation), method) != getattr(Adaptation, method):
                    yield f"{name}: {method}", adaptation, method
            if adaptation.teacher:
                yield f"{name}: teacher", adaptation.teacher, "forward"
        yield "backward", self.optimizer, "backward"
        yield "optimizer", self.optimizer, "step"
        yield from (("EMA", hook, "update") for hook in self.hooks)


def teacher_pass(training: Training, batch: dict) -> Callable[[], None]:
    """Return a forward pass of the network under training, on unlabeled images."""
    model = deepcopy(training.model).eval()
    images = model.data_preprocessor(batch)["inputs"]

    def step() -> None:
        with torch.no_grad(), training.optimizer.optim_context(model):  # for autocast
            model(images, None, mode="tensor")

    return step


def now() -> float:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


def profile(step: Training) -> dict[str, float]:
    """Time the parts of a step in seconds, excluding nested parts.

    Everything else is ``rest``.
    """
    spent: dict[str, float] = {}
    inner = [0.0]  # time of nested parts, per running part

    def timed(name: str, function: Callable) -> Callable:
        spent[name] = 0.0

        def run(*args: Any, **kwargs: Any) -> object:
            inner.append(0.0)
            begin = now()
            result = function(*args, **kwargs)
            whole = now() - begin
            spent[name] += whole - inner.pop()
            inner[-1] += whole
            return result

        return run

    with contextlib.ExitStack() as stack:
        for name, owner, method in list(step.parts()):
            vars(owner)[method] = timed(name, getattr(owner, method))
            # With a default, because the estimator also removes a forward method from
            # its head.
            stack.callback(vars(owner).pop, method, None)
        timed("rest", step)()
    return spent


def measure(
    cfg: Config, device: str, iters: int, warmup: int, with_parts: bool = False
) -> Result:
    """Time the steps of a config.

    Args:
        cfg (Config): A config of :func:`load_step_config`.
        device (str): ``'cpu'`` or ``'cuda'``.
        iters (int): Number of timed iterations.
        warmup (int): Number of iterations before these.
        with_parts (bool): Also time the parts of (a), afterwards. Defaults to False.

    Returns:
        Result: The measurements.
    """
    init_default_scope("mmpose")
    torch.manual_seed(0)
    late = 10**9  # an iteration after the end of each ramp
    MessageHub.get_current_instance().update_info_dict(dict(iter=late, max_iters=late))
    counts = cfg.counts.to_dict()
    labeled = dict(source=sum(counts.values()))
    unlabeled = {d: n for d, n in counts.items() if d == TARGET_UNLABELED}
    steps: dict[str, Any] = {}  # a and b: Training; c: a function
    own: dict[str, int] = {}
    makers: dict[str, Callable[[], Any]] = dict(
        a=lambda: Training(adapted_model(cfg), cfg, counts, device),
        b=lambda: Training(stock_model(cfg), cfg, labeled, device),
        c=lambda: teacher_pass(steps["b"], random_batch(cfg, unlabeled)),
    )
    memory = torch.cuda.memory_allocated  # 0 without CUDA
    for name in makers if unlabeled else "ab":
        before = memory()
        steps[name] = makers[name]()
        steps[name]()  # creates the state of the optimizer
        own[name] = memory() - before

    result = Result(counts, {name: [] if name in steps else [0.0] for name in makers})
    for i in range(warmup + iters):
        for name, step in steps.items():
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            resident, begin = memory(), now()
            step()
            if i >= warmup:
                result.times[name].append(now() - begin)
            peak = own[name] + torch.cuda.max_memory_allocated() - resident
            result.memory[name] = max(peak / MIB, result.memory.get(name, 0))
    if with_parts:
        result.parts = [profile(steps["a"]) for _ in range(iters)]
    return result


def table(results: dict[str, Result]) -> str:
    """Format the times of all configs in Markdown."""
    heads = ["config", "images", "a: step (s)", "b: supervised (s)", "c: teacher (s)"]
    heads += ["a / (b + c)", "peaks (MiB)"]
    lines = [heads, ["---"] * 2 + ["---:"] * 5]
    for name, result in results.items():
        images = ", ".join(f"{n} {domain}" for domain, n in result.counts.items())
        quartiles = [np.quantile(t, (0.5, 0.25, 0.75)) for t in result.times.values()]
        times = ["{:.3g} ({:.3g} to {:.3g})".format(*q) for q in quartiles]
        memory = ", ".join(f"{mib:.0f}" for mib in result.memory.values() if mib)
        lines.append([name, images, *times, f"{result.ratio:.2f}", memory])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def parts_table(result: Result) -> str:
    """Format the median times of the parts of a step in Markdown, longest first."""
    names = result.parts[0]
    medians = {n: float(np.median([parts[n] for parts in result.parts])) for n in names}
    text, total = "| part of a | s | share |\n|---|---:|---:|\n", sum(medians.values())
    for name, seconds in sorted(medians.items(), key=lambda item: -item[1]):
        text += f"| {name} | {seconds:.3g} | {100 * seconds / total:.1f} % |\n"
    return text


def describe_machine(device: str) -> str:
    """Describe the machine and the number of threads in use."""
    gpu = "" if device == "cpu" else f"{torch.cuda.get_device_name()}, "
    threads = torch.get_num_threads()
    return f"{gpu}{cpu_name()}, {threads} CPU threads, torch {torch.__version__}"
