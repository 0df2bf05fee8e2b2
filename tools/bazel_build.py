"""Builds with Debian's bazel-bootstrap, without a network.

    python tools/bazel_build.py WORKSPACE_FOLDER OUTPUT_FOLDER TARGET...

Bazel's own rules load five repositories from the network, which for C++ only name its built-in rules:
small ones stand in for them. TensorFlow is the wheel of the Python that runs this. hiredis comes from where CMake has
it (cmake/fetch_hiredis.py). Prints the folder with what was built.
"""

import argparse
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Of each stub: the package that is loaded, and the rules that are taken from there.
STUBS = {
    "rules_cc": (
        "cc",
        "cc_binary cc_library cc_test cc_proto_library cc_toolchain cc_toolchain_suite",
    ),
    "rules_java": ("java", "java_binary java_import java_library java_runtime java_toolchain"),
    "rules_python": ("python", "py_binary py_library"),
    "rules_proto": ("proto", "proto_library proto_lang_toolchain"),
    "remote_coverage_tools": ("", ""),
}


def write_stubs(folder: pathlib.Path) -> list[str]:
    """The options that put a stub in the place of each repository."""
    options = []
    for name, (package, rules) in STUBS.items():
        stub = folder / name
        (stub / package).mkdir(parents=True, exist_ok=True)
        (stub / "WORKSPACE").write_text(f'workspace(name = "{name}")\n')
        (stub / package / "BUILD").write_text("")
        lines = [f"{rule} = native.{rule}" for rule in rules.split()]
        (stub / package / "defs.bzl").write_text("\n".join(lines) + "\n")
        options.append(f"--override_repository={name}={stub}")
    return options


def hiredis_downloads() -> pathlib.Path:
    command = [sys.executable, str(ROOT / "cmake/fetch_hiredis.py")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return pathlib.Path(done.stdout.strip()).parent


def build(
    workspace: pathlib.Path, output: pathlib.Path, targets: list[str], options: list[str], jobs: int
) -> pathlib.Path:
    """Builds the targets; the folder that `bazel-bin` would be."""
    output.mkdir(parents=True, exist_ok=True)
    # A server of its own, that ends with this program; nothing is read from or left in the home folder.
    startup = ["bazel", "--nohome_rc", "--batch", f"--output_user_root={output / 'bazel'}"]
    common = [
        *write_stubs(output / "stubs"),
        f"--distdir={hiredis_downloads()}",
        f"--repo_env=TF_HPS_PYTHON={sys.executable}",
        # No links named bazel-* in the checkout.
        "--experimental_convenience_symlinks=ignore",
    ]
    local = ["--spawn_strategy=local", f"--jobs={jobs}", "--noshow_progress", "--color=no"]
    environment = os.environ | {"HOME": str(output)}
    subprocess.run(
        [*startup, "build", *common, *local, *options, *targets],
        cwd=workspace,
        env=environment,
        check=True,
    )
    done = subprocess.run(
        [*startup, "info", *common, *options, "bazel-bin"],
        cwd=workspace,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return pathlib.Path(done.stdout.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--mode", choices=("opt", "fastbuild"), default="opt")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    more = [f"--compilation_mode={options.mode}"]
    print(build(options.workspace, options.output.resolve(), options.targets, more, options.jobs))


if __name__ == "__main__":
    main()
