"""The version gate: which stack MMPose-DA runs on."""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

Version = tuple[int, ...]


@dataclass(frozen=True)
class Requirement:
    """A package and the half-open range of its versions that is supported.

    Args:
        name (str): Name of the package in messages.
        minimum (str): The oldest version that is supported.
        below (str, optional): The oldest version that no longer is. Defaults
            to ``None``: no upper bound.
        distributions (tuple[str]): Names of the distributions that provide
            the package, the one to install first. Defaults to ``()``, which
            stands for ``name``.
    """

    name: str
    minimum: str
    below: str | None = None
    distributions: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[str, ...]:
        """tuple[str]: The distributions that provide the package."""
        return self.distributions or (self.name,)

    @property
    def supported(self) -> str:
        """str: The range in pip's notation, such as ``>=1.3.0,<1.4``."""
        return f">={self.minimum}" + (f",<{self.below}" if self.below else "")

    @property
    def remedy(self) -> str:
        """str: What the user can do to get a supported version."""
        if self.name == "python":
            return f"create an environment with Python {self.supported}"
        return f"run: pip install '{self.candidates[0]}{self.supported}'"

    def accepts(self, version: str) -> bool:
        """Whether a version lies in the supported range."""
        found = _release(version)
        return found >= _release(self.minimum) and (
            self.below is None or found < _release(self.below)
        )


REQUIREMENTS = (
    Requirement("python", "3.10"),
    Requirement("torch", "2.1"),
    Requirement("mmengine", "0.10.4", "1.0"),
    # The range of MMPose 1.3, which refuses to run outside of it.
    Requirement("mmcv", "2.0.1", "2.2", distributions=("mmcv-lite", "mmcv")),
    Requirement("mmpose", "1.3.0", "1.4"),
    # MMEngine 0.10 imports pkg_resources, which setuptools 82 no longer has.
    Requirement("setuptools", "40", "82"),
)


def _release(version: str) -> Version:
    """Read the release number of a version: ``2.1.0a0+cu121`` is (2, 1).

    What follows the number is left out on purpose: vendors ship builds such as
    ``2.1.0a0+b5021ba`` that behave as the release. Trailing zeros are left out
    so that 2.1 and 2.1.0 are equal.
    """
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    if match is None:
        raise ValueError(f"'{version}' is not a version number")
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def installed_versions() -> dict[str, str | None]:
    """Read the versions in this environment without importing a package.

    Returns:
        dict[str, str | None]: Name of each package in :data:`REQUIREMENTS` and
        its version; ``None`` when it is not installed.
    """
    versions: dict[str, str | None] = {}
    for requirement in REQUIREMENTS:
        versions[requirement.name] = None
        for distribution in requirement.candidates:
            try:
                versions[requirement.name] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    versions["python"] = platform.python_version()
    return versions


def check_versions(installed: Mapping[str, str | None] | None = None) -> None:
    """Check that every package of the stack is there and supported.

    Args:
        installed (Mapping[str, str | None], optional): Name of each package
            and its version, ``None`` when it is not installed. Defaults to
            ``None``: what :func:`installed_versions` finds.

    Raises:
        ImportError: If a package is missing or outside the supported range.
            The message names every such package, the version found, the
            supported range and what to do.
    """
    if installed is None:
        installed = installed_versions()
    problems = []
    for requirement in REQUIREMENTS:
        version = installed.get(requirement.name)
        if version is None:
            found = "is not installed"
        elif requirement.accepts(version):
            continue
        else:
            found = f"{version} is installed"
        problems.append(
            f"{requirement.name} {found}, {requirement.name}"
            f"{requirement.supported} is supported; {requirement.remedy}"
        )
    if problems:
        raise ImportError(
            "MMPose-DA cannot run with this environment:\n  " + "\n  ".join(problems)
        )
