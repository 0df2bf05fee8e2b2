"""hiredis with its TLS part, of the version that CMakeLists.txt takes (cmake/fetch_hiredis.py)."""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")

def hiredis_repository(name = "hiredis"):
    """The C sources inside PyPI's `hiredis`; TLS is that of the workspace's @boringssl.

    Args:
      name: of the repository.
    """
    http_archive(
        name = name,
        build_file = Label("//bazel:hiredis.BUILD"),
        sha256 = "c227592cc56b7df247abe4755c26723965be68972be2149fa441ac33d82131ba",
        strip_prefix = "hiredis-3.5.0/vendor",
        url = "https://files.pythonhosted.org/packages/source/h/hiredis/hiredis-3.5.0.tar.gz",
    )
