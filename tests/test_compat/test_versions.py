"""The version gate."""

import pytest

from mmpose_da.compat.versions import check_versions, installed_versions

GOOD = {
    "python": "3.11.7",
    "torch": "2.8.0+cu128",
    "mmengine": "0.10.7",
    "mmcv": "2.1.0",
    "mmpose": "1.3.2",
    "setuptools": "79.0.1",
}


def test_this_environment_is_supported():
    check_versions()
    assert set(installed_versions()) == set(GOOD)


@pytest.mark.parametrize(
    "package, version",
    [
        ("python", "3.10.0"),
        ("python", "3.13.1"),
        ("torch", "2.1"),
        ("torch", "2.1.0"),
        ("torch", "2.1.0a0+b5021ba"),  # as vendors build it
        ("torch", "2.13.0"),
        ("mmengine", "0.10.4"),
        ("mmcv", "2.0.1"),
        ("mmcv", "2.1.9"),
        ("mmpose", "1.3.0"),
        ("mmpose", "1.3.10"),
    ],
)
def test_supported(package, version):
    check_versions(GOOD | {package: version})


@pytest.mark.parametrize(
    "package, version, supported, remedy",
    [
        ("python", "3.9.18", ">=3.10", "Python >=3.10"),
        ("torch", "2.0.1", ">=2.1", "pip install 'torch>=2.1'"),
        ("torch", None, ">=2.1", "pip install 'torch>=2.1'"),
        ("mmengine", "0.10.3", ">=0.10.4,<1.0", "pip install 'mmengine>=0.10.4,<1.0'"),
        ("mmengine", "1.0.0", ">=0.10.4,<1.0", "pip install 'mmengine>=0.10.4,<1.0'"),
        ("mmcv", "2.2.0", ">=2.0.1,<2.2", "pip install 'mmcv-lite>=2.0.1,<2.2'"),
        ("mmcv", "1.7.2", ">=2.0.1,<2.2", "pip install 'mmcv-lite>=2.0.1,<2.2'"),
        ("mmcv", None, ">=2.0.1,<2.2", "pip install 'mmcv-lite>=2.0.1,<2.2'"),
        ("mmpose", "1.2.0", ">=1.3.0,<1.4", "pip install 'mmpose>=1.3.0,<1.4'"),
        ("mmpose", "1.4.0rc1", ">=1.3.0,<1.4", "pip install 'mmpose>=1.3.0,<1.4'"),
        ("setuptools", "82.0.0", ">=40,<82", "pip install 'setuptools>=40,<82'"),
    ],
)
def test_unsupported(package, version, supported, remedy):
    with pytest.raises(ImportError) as error:
        check_versions(GOOD | {package: version})
    message = str(error.value)
    found = f"{version} is installed" if version else "is not installed"
    assert f"{package} {found}" in message
    assert f"{package}{supported} is supported" in message
    assert remedy in message
    assert message.count("is supported") == 1  # the others are not reported


def test_all_problems_are_named_at_once():
    with pytest.raises(ImportError) as error:
        check_versions({"python": "3.11.7", "torch": "1.13.1"})
    for package in ("torch 1.13.1", "mmengine is not", "mmcv is not", "mmpose is not"):
        assert package in str(error.value)


def test_gate_comes_before_the_stack(repo, run_python):
    # Without torch the import must end in the gate, not in a ModuleNotFoundError.
    result = run_python(
        "import sys, importlib.metadata as metadata\n"
        "version = metadata.version\n"
        "def without_torch(name):\n"
        "    if name == 'torch': raise metadata.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "metadata.version = without_torch\n"
        "sys.modules['torch'] = None\n"
        "import mmpose_da\n"
    )
    assert result.returncode != 0
    assert "ImportError: MMPose-DA cannot run" in result.stderr
    assert "torch is not installed" in result.stderr
