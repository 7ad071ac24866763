"""Version gate: the software versions that MMPose-DA supports."""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

Version = tuple[int, ...]


@dataclass(frozen=True)
class Requirement:
    """A package and the half-open range of its supported versions.

    Args:
        name (str): Name of the package in messages.
        minimum (str): Oldest supported version.
        below (str, optional): First version that is no longer supported. Defaults to
            ``None``: no upper bound.
        distributions (tuple[str]): Names of the distributions that provide the package,
            starting with the one to install. Defaults to ``()``, which stands for
            ``name``.
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
        """str: How to get a supported version."""
        if self.name == "python":
            return f"create an environment with Python {self.supported}"
        return f"run: pip install '{self.candidates[0]}{self.supported}'"

    def accepts(self, version: str) -> bool:
        """Return whether a version is in the supported range."""
        found = _release(version)
        return found >= _release(self.minimum) and (
            self.below is None or found < _release(self.below)
        )


REQUIREMENTS = (
    Requirement("python", "3.10"),
    Requirement("torch", "2.1"),
    Requirement("mmengine", "0.10.4", "1.0"),
    # The range of MMPose 1.3, which refuses to run outside it.
    Requirement("mmcv", "2.0.1", "2.2", distributions=("mmcv-lite", "mmcv")),
    Requirement("mmpose", "1.3.0", "1.4"),
    # MMEngine 0.10 imports pkg_resources, which setuptools 82 no longer provides.
    Requirement("setuptools", "40", "82"),
)


def _release(version: str) -> Version:
    """Parse the release number of a version: ``2.1.0a0+cu121`` is (2, 1).

    Suffixes are ignored on purpose: vendors ship builds such as ``2.1.0a0+b5021ba``
    that behave like the release. Trailing zeros are dropped so that 2.1 equals 2.1.0.
    """
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    if match is None:
        raise ValueError(f"'{version}' is not a version number")
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def installed_versions() -> dict[str, str | None]:
    """Read the installed versions without importing any package.

    Returns:
        dict[str, str | None]: Version of each package in :data:`REQUIREMENTS`, or
        ``None`` if it is not installed.
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
    """Check that every required package is installed and supported.

    Args:
        installed (Mapping[str, str | None], optional): Version of each package, or
            ``None`` if it is not installed. Defaults to ``None``: the result of
            :func:`installed_versions`.

    Raises:
        ImportError: If a package is missing or outside the supported range. The message
            names every such package, the installed version, the supported range, and
            the remedy.
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
