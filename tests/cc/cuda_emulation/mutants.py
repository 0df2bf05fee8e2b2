"""Do the tests of the CUDA cache have teeth? Each mutant takes one thing away and must make one fail.

    python tests/cc/cuda_emulation/mutants.py BUILD [NAME...]

BUILD is a CMake folder (Ninja) in which cache_tests and device_tests are built, build/release for one. One
object is compiled and the tests are linked again for each mutant, outside of the sources and of BUILD.
README.md has the results. Not part of CI: it takes minutes.
"""

import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
KERNELS = "tests/cc/cuda_emulation/kernels.cc"
TESTS = ("cache_tests", "device_tests")
SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    file: str  # in cc/cache, or with its folder
    taken: str
    left: str = ""
    lives: str = ""  # why no test can see it


MUTANTS = (
    Mutant("lookup without a bounds check", "lookup_kernel.cu", "if (p < args.n) {", "if (true) {"),
    Mutant("keys without a bounds check", "key_kernel.cu", "if (p < args.n) {", "if (true) {"),
    Mutant(
        "votes of the whole warp in FindInSet",
        "cuda_set.h",
        "__ballot_sync(tile.mask, is_x || is_y)",
        "__ballot_sync(kWholeWarp, is_x || is_y)",
    ),
    Mutant(
        "misses are counted without an atomic",
        "cuda_set.h",
        "base = atomicAdd(&progress->missed, __popc(who));",
        "{ base = __ldcg(&progress->missed); __stcg(&progress->missed, base + __popc(who)); }",
    ),
    Mutant(
        "every lane of a tile tells of its miss",
        "lookup_kernel.cu",
        "missed && tile.lane == 0, key",
        "missed, key",
    ),
    Mutant(
        "a set's lock is no atomic",
        "fill_kernels.cu",
        "locked = (atomicOr(StateOf(cache, set), kCacheLock) & kCacheLock) == 0;",
        "locked = (__ldcg(StateOf(cache, set)) & kCacheLock) == 0;"
        " __stcg(StateOf(cache, set), __ldcg(StateOf(cache, set)) | kCacheLock);",
    ),
    Mutant(
        "no __syncwarp in fills",
        "fill_kernels.cu",
        "  __syncwarp(tile.mask);\n",
    ),
    Mutant(
        "unlock without __syncwarp",
        "fill_kernels.cu",
        "  __threadfence();\n  __syncwarp(tile.mask);\n  if (tile.lane == 0) atomicAnd",
        "  __threadfence();\n  if (tile.lane == 0) atomicAnd",
        lives="WriteState has one after the last write to a row",
    ),
    Mutant(
        "the warps' counts are not reset",
        "cuda_set.h",
        "atomicExch(&progress->warps_done, 0u);",
    ),
    Mutant(
        "an erase leaves the mark of absence",
        "fill_kernels.cu",
        "~(CacheWord{1} << place.way | absent_bit)",
        "~(CacheWord{1} << place.way)",
        lives="whoever takes the way next clears the bit",
    ),
    Mutant(
        "a writer does not wait for other streams",
        "cuda_stream_order.cc",
        'status = CudaStatus(cudaStreamWaitEvent(stream, known.event, 0), "wait for a stream");',
        "(void)stream;",
    ),
    Mutant(
        "other streams do not wait for a writer",
        "cuda_stream_order.cc",
        'status = CudaStatus(cudaStreamWaitEvent(other.stream, writer.event, 0), "wait for a stream");',
        "(void)writer;",
    ),
    Mutant(
        "a fill does not look at the stamps",
        "cuda_cache_write.cc",
        "} else if (!fill.inside_update && fill.stamps->Moved(i, fill.keys[i])) {",
        "} else if (false) {",
    ),
    Mutant(
        "pinned memory is used again at once",
        "cuda_staging.cc",
        "if (!idle->IsDone()) continue;",
    ),
    Mutant(
        "an exact cache keeps old rows while the stores are written",
        "cc/hierarchy/device_cache.cc",
        "  taken_.clear();\n  Forget(batch.keys, &taken_);",
        "  return;",
    ),
    Mutant(
        "who failed to update a cache is not made up for",
        "cc/hierarchy/device_cache.cc",
        "  owes_.store(true, std::memory_order_release);\n",
    ),
    Mutant(
        "a group of lookups does not look whether a commit came in between",
        "cc/hierarchy/device_lookup_group.cc",
        "return !pins_.empty() || ",
        "return true || ",
    ),
    Mutant(
        "a lookup that is begun too often pins no commit",
        "cc/hierarchy/device_lookup_group.cc",
        "attempts_ >= CommitGate::kAttempts",
        "false",
    ),
)


class Build:
    def __init__(self, folder: pathlib.Path, scratch: pathlib.Path) -> None:
        self.folder = folder
        self.scratch = scratch
        commands = json.loads((folder / "compile_commands.json").read_text())
        # Those of the tests: the cache's host code is compiled against CUDA's headers as well.
        self.compile = {
            pathlib.Path(entry["file"]).relative_to(ROOT).as_posix(): entry["command"]
            for entry in commands
            if re.search(r" -o CMakeFiles/(cuda_emulation|tf_hps_core)\.dir/", entry["command"])
        }

    def links(self, test: str) -> str:
        listed = subprocess.run(
            ["ninja", "-C", self.folder, "-t", "commands", f"tests/{test}"],
            check=True,
            capture_output=True,
            text=True,
        )
        return listed.stdout.strip().splitlines()[-1]

    def verdict(self, mutant: Mutant) -> str:
        """Which test found the mutant, and how; "" where none did."""
        copy = self.scratch / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        for part in ("cc", "tests/cc/cuda_emulation"):
            shutil.copytree(ROOT / part, copy / part)
        file = mutant.file if "/" in mutant.file else f"cc/cache/{mutant.file}"
        path = copy / file
        text = path.read_text()
        if mutant.taken not in text:
            raise SystemExit(f"{mutant.file} has no {mutant.taken!r}: bring mutants.py up to date")
        path.write_text(text.replace(mutant.taken, mutant.left))

        source = file if file.endswith(".cc") else KERNELS
        mutated = self.scratch / "mutated.o"
        command, to = self.compile[source].rsplit(" -o ", 1)
        command = re.sub(rf" -I{ROOT}(?=[ /])", f" -I{copy}", command)
        subprocess.run(
            f"{command} -o {mutated} -c {copy / source}", shell=True, cwd=self.folder, check=True
        )
        for test in TESTS:
            link = self.links(test)
            if to.split()[0] not in link:
                raise SystemExit(f"{test} does not link {to.split()[0]}")
            link = link.replace(to.split()[0], str(mutated))
            binary = self.scratch / test
            link = link.replace(f"-o tests/{test}", f"-o {binary}")
            subprocess.run(link, shell=True, cwd=self.folder, check=True)
            try:
                done = subprocess.run(
                    [binary, "--gtest_brief=1"], capture_output=True, text=True, timeout=SECONDS
                )
            except subprocess.TimeoutExpired:
                return f"{test}: does not end"
            if done.returncode != 0:
                said = [line for line in done.stderr.splitlines() if "CUDA emulation" in line]
                failed = [line for line in done.stdout.splitlines() if "[  FAILED  ]" in line]
                return f"{test}: {(said + failed + ['ended'])[0].strip()}"
        return ""


def main(arguments: list[str]) -> int:
    if not arguments:
        raise SystemExit(__doc__)
    status = 0
    with tempfile.TemporaryDirectory() as scratch:
        build = Build(pathlib.Path(arguments[0]).resolve(), pathlib.Path(scratch))
        for mutant in MUTANTS:
            if arguments[1:] and mutant.name not in arguments[1:]:
                continue
            found = build.verdict(mutant)
            if bool(found) == bool(mutant.lives):
                status = 1
            print(f"{mutant.name}: {found or 'LIVES ' + mutant.lives}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
