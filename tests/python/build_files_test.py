"""BUILD, CMakeLists.txt and setup.py agree on which files are built, how, and into what."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CMAKE = (ROOT / "CMakeLists.txt").read_text()
BUILD = (ROOT / "BUILD").read_text()


def cmake_glob(variable: str) -> set[str]:
    (patterns,) = re.findall(rf"file\(GLOB {variable} CONFIGURE_DEPENDS\s+([^)]*)\)", CMAKE)
    return set(patterns.split())


def bazel_list(name: str) -> set[str]:
    (body,) = re.findall(rf"^{name} = \[([^\]]*)\]", BUILD, re.MULTILINE)
    return set(re.findall(r'"([^"]+)"', body))


def files(patterns: set[str]) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern)
    }


def test_both_build_files_name_the_same_sources() -> None:
    for variable, name in {
        "core_sources": "CORE",
        "op_sources": "OPS",
        "avx512_sources": "AVX512",
        "avx2_sources": "AVX2",
    }.items():
        assert cmake_glob(variable) == bazel_list(name), name


def test_every_source_is_built_exactly_once() -> None:
    core, ops = files(bazel_list("CORE")), files(bazel_list("OPS"))
    python_modules = {"cc/bindings/core_module.cc", "cc/bindings/rocksdb_module.cc"}
    cuda = files(cmake_glob("cuda_host_sources") | cmake_glob("gpu_op_sources"))
    assert not core & ops and not cuda & (core | ops)
    assert core | ops | cuda | python_modules == files({"cc/**/*.cc"})
    assert files(bazel_list("AVX512") | bazel_list("AVX2")) <= core


def test_both_build_files_compile_vector_code_with_the_same_flags() -> None:
    for variable, name in {"avx512_sources": "avx512", "avx2_sources": "avx2"}.items():
        (cmake,) = re.findall(
            rf"set_source_files_properties\(\$\{{{variable}\}} PROPERTIES COMPILE_OPTIONS\s+\"([^\"]*)\"",
            CMAKE,
        )
        (bazel,) = re.findall(rf'name = "{name}",.*?copts = COPTS \+ \[(.*?)\]', BUILD, re.DOTALL)
        machine = [flag for flag in cmake.split(";") if flag.startswith("-m")]
        flags = [flag for flag in re.findall(r'"([^"]+)"', bazel) if flag.startswith("-m")]
        assert machine and sorted(machine) == sorted(flags)


def test_setup_builds_the_targets_that_cmake_installs() -> None:
    (installed,) = re.findall(r"install\(TARGETS ([\w ]+?) LIBRARY", CMAKE)
    (built,) = re.findall(r'"--target",\s+([^\]]*?),\s+"-j"', (ROOT / "setup.py").read_text())
    assert installed.split() == re.findall(r'"(\w+)"', built)


def test_the_version_is_written_once() -> None:
    version = re.search(r'"([\d.]+)"', (ROOT / "tf_hps/_version.py").read_text())
    assert version is not None
    for name in ("setup.py", "pyproject.toml", "CMakeLists.txt", "BUILD", "WORKSPACE"):
        assert f'"{version[1]}"' not in (ROOT / name).read_text(), name


def test_both_build_files_take_the_same_hiredis() -> None:
    fetch = (ROOT / "cmake/fetch_hiredis.py").read_text()
    facts = dict(re.findall(r'^(VERSION|SHA256) = "([^"]+)"', fetch, re.MULTILINE))
    rule = (ROOT / "bazel/hiredis.bzl").read_text()
    assert f'sha256 = "{facts["SHA256"]}"' in rule
    assert f"/hiredis-{facts['VERSION']}.tar.gz" in rule
    assert f'"hiredis-{facts["VERSION"]}/vendor"' in rule
    (cmake,) = re.findall(r"set\(hiredis_sources ([^)]*)\)", CMAKE)
    bazel = re.findall(r'"(\w+\.c)"', (ROOT / "bazel/hiredis.BUILD").read_text())
    assert cmake.split() == bazel
