"""The C++ tests: one item a file and build. `./run test` compiles them, a folder to a program."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "tests/cc").rglob("*_test.cc"))
# Those of the cache alone have one thread; nothing has threads in common/.
NOT_UNDER_THREAD_SANITIZER = {"cache", "common"}
TIME_LIMIT = 600

# What each build is run with; it is found in build/<name>.
SANITIZER_OPTIONS = {
    "release": {},
    "address": {
        "ASAN_OPTIONS": "strict_string_checks=1:detect_stack_use_after_return=1:check_initialization_order=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    },
    "thread": {
        "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:history_size=4:"
        f"suppressions={ROOT / 'tests/cc/tsan_suppressions.txt'}"
    },
}


@functools.cache
def fixed_addresses() -> list[str]:
    """ThreadSanitizer of gcc 12 and older needs an address space that is not spread too widely."""
    command = ["setarch", "x86_64", "-R"]
    if shutil.which("setarch") is None:
        return []
    return (
        command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else []
    )


@functools.cache
def leaks_can_be_found(program: pathlib.Path) -> bool:
    """LeakSanitizer stops the process with ptrace, which many containers forbid."""
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=1"}
    command = [str(program), "--gtest_list_tests"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return "LeakSanitizer has encountered a fatal error" not in done.stderr


def suites(file: pathlib.Path) -> set[str]:
    return set(re.findall(r"^(?:TYPED_)?TEST(?:_[FP])?\((\w+),", file.read_text(), re.MULTILINE))


def binary_of(build: str, folder: str) -> pathlib.Path:
    binary = ROOT / "build" / build / "tests" / f"{folder}_tests"
    assert binary.exists(), f"{binary} is not built: ./run test builds it"
    return binary


def test_each_suite_is_in_one_file_and_each_test_in_a_suite_that_is_run() -> None:
    for folder in {file.parent.name for file in FILES}:
        of_folder = [
            suite for file in FILES if file.parent.name == folder for suite in suites(file)
        ]
        assert len(of_folder) == len(set(of_folder)), folder
        listed = subprocess.run(
            [str(binary_of("release", folder)), "--gtest_list_tests"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        # "Suite.", "Instance/Suite." and "Suite/0." with what the parameters are behind them.
        names = set(re.findall(r"^(?:[A-Za-z]\w*/)?([A-Za-z]\w*)(?:/\d+)?\.", listed, re.MULTILINE))
        assert names == set(of_folder)


@pytest.mark.parametrize(
    ("build", "file"),
    [
        pytest.param(build, file, id=f"{build}-{file.stem}")
        for build in SANITIZER_OPTIONS
        for file in FILES
        if build != "thread" or file.parent.name not in NOT_UNDER_THREAD_SANITIZER
    ],
)
def test_cc(build: str, file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    binary = binary_of(build, file.parent.name)
    patterns = [
        pattern
        for suite in sorted(suites(file))
        for pattern in (f"{suite}.*", f"*/{suite}.*", f"{suite}/*", f"*/{suite}/*")
    ]
    options = dict(SANITIZER_OPTIONS[build])
    if build == "address":
        options["ASAN_OPTIONS"] += f":detect_leaks={int(leaks_can_be_found(binary))}"
    if build == "address" and file.parent.name in ("cache", "device"):
        # Each lane would have a second stack mapped for it: more than half of the time.
        options["ASAN_OPTIONS"] += ":detect_stack_use_after_return=0"
    # Some write with the package's Python side.
    python = {"TF_HPS_TEST_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    prefix = fixed_addresses() if build == "thread" else []
    done = subprocess.run(
        [*prefix, str(binary), "--gtest_brief=1", f"--gtest_filter={':'.join(patterns)}"],
        cwd=tmp_path,
        env=os.environ | options | python | {"TEST_TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIME_LIMIT,
    )
    if done.returncode != 0:
        pytest.fail(f"{binary} ended with {done.returncode}\n{done.stdout}", pytrace=False)
    assert "[  PASSED  ]" in done.stdout
