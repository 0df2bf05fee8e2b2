"""Builds the op library and the bindings with CMake; everything else is in pyproject.toml."""

import os
import pathlib
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.dist import Distribution

ROOT = pathlib.Path(__file__).resolve().parent


class CMakeBuild(build_ext):
    """Runs CMake once for all extensions: it knows what belongs to what."""

    def run(self) -> None:
        given = os.environ.get("CMAKE_BUILD_FOLDER")
        if given or self.editable_mode or self.inplace:
            # The folder `./run build` uses: after it there is nothing left to do here.
            build, output = ROOT / (given or "build/release"), ROOT / "tf_hps"
        else:
            build = ROOT / "build" / f"package-{sys.implementation.cache_tag}"
            output = build / "lib"
        configure = [
            *("cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja"),
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DTF_HPS_OUTPUT_DIR={output}",
            *os.environ.get("CMAKE_ARGS", "").split(),
        ]
        subprocess.run(configure, check=True)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        subprocess.run(
            [
                "cmake",
                "--build",
                str(build),
                "--target",
                "tf_hps_ops",
                "_core",
                "_rocksdb",
                "-j",
                jobs,
            ],
            check=True,
        )
        if not self.editable_mode and not self.inplace:
            prefix = pathlib.Path(self.build_lib).resolve()
            install = ["cmake", "--install", str(build), "--component", "python", "--strip"]
            subprocess.run([*install, "--prefix", str(prefix)], check=True)

    def get_outputs(self) -> list[str]:
        folder = pathlib.Path(self.build_lib) / "tf_hps"
        return sorted(str(path) for path in folder.glob("*.so"))

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class BinaryDistribution(Distribution):
    """A wheel of this package fits one Python and one platform."""

    def has_ext_modules(self) -> bool:
        return True


setup(
    cmdclass={"build_ext": CMakeBuild},
    distclass=BinaryDistribution,
    ext_modules=[Extension("tf_hps._core", sources=[])],
)
