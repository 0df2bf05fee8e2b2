"""TLS in a process that has TensorFlow: against a server that asks for the client's certificate."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from redis_server import port_of, redis_server

import tf_hps

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "tf_hps" / "_tf_hps_ops.so"
OF_OPENSSL = re.compile(
    r"(SSL|TLS|DTLS|X509|X509V3|EVP|BIO|CRYPTO|OPENSSL|ERR|PEM|RSA|EC|BN|ASN1|SHA1|SHA256|d2i|i2d)"
    r"_[A-Za-z]|redis[A-Z]"
)

# Everything that a TLS connection calls has been called when it ends.
PROGRAM = """
import sys
import tensorflow
sys.path.insert(0, sys.argv[1])
import pathlib
from redis_tls_test import table_with_tls
table = table_with_tls(int(sys.argv[2]), pathlib.Path(sys.argv[3]), "traced")
table.insert([1], [[1.0, 2.0]])
print(table.stats()["tiers"][0]["attached"])
"""


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder with an authority, a server's certificate for 127.0.0.1 and a client's."""
    folder = tmp_path_factory.mktemp("certificates")
    # The system's own settings may be missing, or add extensions.
    settings = folder / "openssl.cnf"
    settings.write_text("[req]\ndistinguished_name = name\n[name]\n")
    new = ["req", "-config", str(settings), "-x509", "-nodes"]
    new += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    authority = [str(folder / "ca.crt"), str(folder / "ca.key")]
    _openssl(
        *new, "-subj", "/CN=authority", "-addext", "basicConstraints=critical,CA:TRUE",
        "-out", authority[0], "-keyout", authority[1],
    )  # fmt: skip
    for name in ("server", "client"):
        _openssl(
            *new, "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", authority[0], "-CAkey", authority[1],
            "-out", str(folder / f"{name}.crt"), "-keyout", str(folder / f"{name}.key"),
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def server(certificates, tmp_path_factory):
    files = {
        "--tls-cert-file": "server.crt",
        "--tls-key-file": "server.key",
        "--tls-ca-cert-file": "ca.crt",
    }
    words = [word for name, file in files.items() for word in (name, str(certificates / file))]
    client = {
        "ssl": True,
        "ssl_ca_certs": str(certificates / "ca.crt"),
        "ssl_certfile": str(certificates / "client.crt"),
        "ssl_keyfile": str(certificates / "client.key"),
    }
    with redis_server(tmp_path_factory.mktemp("server"), *words, **client) as started:
        yield started


def table_with_tls(
    port: int,
    certificates: pathlib.Path,
    deployment: str,
    connect_timeout_ms: int = 5000,
    **options: str | None,
) -> tf_hps.Table:
    of_client: dict[str, str | None] = {
        "tls_ca_file": str(certificates / "ca.crt"),
        "tls_cert_file": str(certificates / "client.crt"),
        "tls_key_file": str(certificates / "client.key"),
    }
    config = tf_hps.Config(
        deployment=deployment,
        redis=tf_hps.RedisConfig(
            f"rediss://127.0.0.1:{port}",
            timeout_ms=5000,
            connect_timeout_ms=connect_timeout_ms,
            **of_client | options,
        ),
        tables={"movie_id": tf_hps.TableConfig(embedding_dim=2)},
    )
    return tf_hps.Table("movie_id", config)


def test_rows_come_through_tls(server, certificates):
    table = table_with_tls(port_of(server), certificates, "rows")
    # More than one record of TLS, and than one read of the socket.
    keys = np.arange(50_000)
    rows = np.stack([keys, -keys], axis=1).astype(np.float32)
    table.insert(keys, rows)
    np.testing.assert_array_equal(tf_hps.embedding_lookup(table, keys), rows)
    assert server.dbsize() > len(keys)


@pytest.mark.parametrize(
    ("deployment", "options", "message"),
    [
        ("anonymous", {"tls_cert_file": None, "tls_key_file": None}, "tier redis: Redis at 127"),
        ("other_name", {"tls_server_name": "somebody.else"}, "hostname mismatch"),
        ("stranger", {"tls_ca_file": None}, "TLS failed: self-signed certificate"),
    ],
)
def test_wrong_certificates_are_refused(server, certificates, deployment, options, message):
    with pytest.raises(Exception, match=message):
        table_with_tls(port_of(server), certificates, deployment, **options)


def test_a_server_without_tls_is_an_error_and_no_wait_for_ever(certificates, tmp_path):
    with redis_server(tmp_path) as plain, pytest.raises(Exception, match="TLS failed"):
        table_with_tls(port_of(plain), certificates, "plain", connect_timeout_ms=500)


def test_the_library_asks_for_no_symbol_of_openssl_and_offers_none():
    """What the dynamic linker is not asked for by name, it binds to nobody's."""
    command = ["readelf", "--wide", "--relocs", "--dyn-syms", str(LIBRARY)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    names = set(re.findall(r"\b[A-Za-z_]\w+(?=@|\s|$)", listed, re.MULTILINE))
    assert "memcpy" in names
    assert [name for name in names if OF_OPENSSL.match(name)] == []


def test_no_symbol_of_openssl_was_bound_to_tensorflows(server, certificates, tmp_path):
    """The same from the other side: what the dynamic linker tells of a process while it runs."""
    command = [sys.executable, "-c", PROGRAM, str(pathlib.Path(__file__).parent)]
    command += [str(port_of(server)), str(certificates)]
    trace = {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(tmp_path / "linker")}
    environment = os.environ | trace | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"
    ours, wrong = 0, []
    for file in tmp_path.glob("linker.*"):
        with file.open(errors="replace") as lines:
            for line in lines:
                bound = re.search(r"binding file (\S+) .* to (\S+) .*symbol `(\w+)'", line)
                if bound is None or LIBRARY.name not in bound[1] + bound[2]:
                    continue
                ours += 1
                if OF_OPENSSL.match(bound[3]):
                    wrong.append(line)
        file.unlink()  # a quarter of a gigabyte
    assert ours > 100
    assert wrong == []
