"""The manifests of docs/kubernetes.md against Kubernetes' own schemas."""

import pathlib
import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "kubernetes.md"
# Releases that are maintained, the oldest and the newest that the schemas are of.
RELEASES = ("1.31", kubernetes_validate.latest_version())


def manifests() -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [manifest for block in blocks for manifest in yaml.safe_load_all(block)]


@pytest.mark.parametrize("release", RELEASES)
def test_manifests_are_what_kubernetes_takes(release: str) -> None:
    found = manifests()
    assert {one["kind"] for one in found} >= {"StatefulSet", "Service", "ConfigMap"}
    for manifest in found:
        kubernetes_validate.validate(manifest, release, strict=True)


def test_a_mistake_is_found() -> None:
    stateful_set = manifests()[0]
    stateful_set["spec"]["template"]["spec"]["containers"][0]["imagePullSecret"] = "no such field"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePullSecret"):
        kubernetes_validate.validate(stateful_set, RELEASES[-1], strict=True)


def test_what_the_manifest_mounts_and_what_it_tells_the_server_agree() -> None:
    pod = manifests()[0]["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in server["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in manifests()[0]["spec"]["volumeClaimTemplates"]}
    values = {variable["name"]: variable["value"] for variable in server["env"]}
    assert mounts[values["TF_HPS_ROCKSDB_STATE_DIR"]] in claims
    limit = int(server["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
    assert int(values["TF_HPS_MEMORY_CAPACITY_BYTES"]) < 0.8 * limit
    config = manifests()[2]["data"]
    assert f"/etc/serving/{next(iter(config))}" in server["args"][-1]
