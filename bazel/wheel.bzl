"""TensorFlow's wheel and the system's OpenSSL, under the names they have in TensorFlow Serving's workspace.

With them BUILD builds the op library alone, and a server in a workspace without TensorFlow's sources.
"""

# Of the labels in BUILD. All absl of the process is the wheel's: its headers, and its copy in
# libtensorflow_framework.
_ABSL = {
    "base": ["core_headers"],
    "log": ["log"],
    "status": ["status", "statusor"],
    "strings": ["strings"],
    "types": ["span"],
}

_ALIAS = """
package(default_visibility = ["//visibility:public"])
"""

_LIBRARY = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "headers",
    hdrs = glob(
        ["include/**"],
        exclude = ["include/external/**"],
    ) + ["include/external/farmhash_archive/src/farmhash.h"],
    # EIGEN_MAX_ALIGN_BYTES as tf.sysconfig.get_compile_flags() says it.
    defines = [
        "EIGEN_MAX_ALIGN_BYTES=64",
        "_GLIBCXX_USE_CXX11_ABI=1",
        "TF_HPS_TENSORFLOW_VERSION=\\\\\\"@VERSION@\\\\\\"",
    ],
    includes = [
        "include",
        "include/external/farmhash_archive/src",
    ],
)

cc_library(
    name = "framework",
    srcs = ["libtensorflow_framework.so.2"],
    deps = [":headers"],
)

# Sessions register themselves: the linker must keep a library nobody calls.
cc_library(
    name = "cc",
    srcs = ["libtensorflow_cc.so.2"],
    linkopts = ["-Wl,--no-as-needed"],
    deps = [":framework"],
)
"""

def _wheel(ctx):
    python = ctx.os.environ.get("TF_HPS_PYTHON") or ctx.which("python3")
    done = ctx.execute([python, ctx.path(Label("//cmake:find_tensorflow.py"))])
    if done.return_code != 0:
        fail("TF_HPS_PYTHON names a Python that has TensorFlow: " + done.stderr)
    return done.stdout.split("\n")

def _tensorflow_wheel(ctx):
    wheel, version = _wheel(ctx)[:2]
    for name in ["include", "libtensorflow_framework.so.2", "libtensorflow_cc.so.2"]:
        ctx.symlink(wheel + "/" + name, name)
    ctx.file("BUILD", _LIBRARY.replace("@VERSION@", version))
    aliases = {"framework": "framework", "lib": "framework", "tensorflow": "cc"}
    ctx.file("tensorflow/core/BUILD", _ALIAS + "".join([
        'alias(name = "%s", actual = "//:%s")\n' % (name, actual)
        for name, actual in aliases.items()
    ]))
    ctx.file(
        "tensorflow/cc/saved_model/BUILD",
        _ALIAS + 'alias(name = "loader", actual = "//:cc")\n',
    )

tensorflow_wheel = repository_rule(
    implementation = _tensorflow_wheel,
    doc = "@org_tensorflow from the wheel that TF_HPS_PYTHON (or python3) has.",
    environ = ["TF_HPS_PYTHON"],
    local = True,
)

def _absl_of_wheel(ctx):
    for package, targets in _ABSL.items():
        ctx.file("absl/%s/BUILD" % package, _ALIAS + "".join([
            'alias(name = "%s", actual = "@org_tensorflow//:framework")\n' % target
            for target in targets
        ]))

absl_of_wheel = repository_rule(
    implementation = _absl_of_wheel,
    doc = "@com_google_absl from @org_tensorflow, where that is the wheel.",
)

def _system_openssl(ctx):
    # Static: TensorFlow exports BoringSSL's symbols, which have the same names, to the whole process.
    for name in ["libssl.a", "libcrypto.a"]:
        path = ctx.execute(["gcc", "-print-file-name=" + name]).stdout.strip()
        if not path.startswith("/"):
            fail("libssl-dev is needed: gcc finds no " + name)
        ctx.symlink(path, name)
    ctx.file("BUILD", _ALIAS + """
cc_library(
    name = "ssl",
    srcs = ["libssl.a"],
    # Not among what a program shows to TensorFlow's library, which looks for names of BoringSSL.
    linkopts = ["-Wl,--exclude-libs,libssl.a:libcrypto.a"],
    deps = [":crypto"],
)

cc_library(
    name = "crypto",
    srcs = ["libcrypto.a"],
    linkopts = [
        "-ldl",
        "-pthread",
    ],
    # Before it in the linker's order: it would have those names from there.
    deps = ["@org_tensorflow//:framework"],
)
""")

system_openssl = repository_rule(
    implementation = _system_openssl,
    doc = "@boringssl from the system's libssl-dev.",
)
