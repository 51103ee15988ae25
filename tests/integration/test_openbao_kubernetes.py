"""A pod enters the real OpenBao by its service account; the cluster is a small TokenReview server."""

from __future__ import annotations

import base64
import json
import secrets
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tests.support.answering import Answering, Reply
from tests.support.certificates import Authority
from tests.support.vault_sessions import error_of, token_of

from tarnhelm.linkage.vaults.login import KubernetesAccount
from tarnhelm.linkage.vaults.transit import TransitVault


def signed(claims, key):
    """A JSON Web Token, ES256 (RFC 7515, 7518)."""
    parts = [json.dumps({"alg": "ES256", "typ": "JWT"}), json.dumps(claims)]
    text = b".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in parts)
    numbers = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
    signature = b"".join(number.to_bytes(32, "big") for number in numbers)
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class Cluster:
    """A Kubernetes API that reviews tokens, and what the vault is told about it."""

    def __init__(self, folder: Path) -> None:
        self.accounts: dict[str, str] = {}
        authority = Authority(folder, "cluster")
        self.server = Answering(self._review, authority.issue("kubernetes", "kubernetes.default.svc"))
        self.ca = authority.ca_file.read_text()
        self._key = ec.generate_private_key(ec.SECP256R1())

    def token(self, namespace: str, account: str) -> str:
        """A service account token as the kubelet projects it."""
        uid, now = secrets.token_hex(8), int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc",
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "iat": now - 10,
            "nbf": now - 10,
            "exp": now + 600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}},
        }
        token = signed(claims, self._key)
        self.accounts[token] = f"{namespace}:{account}:{uid}"
        return token

    def _review(self, asked):
        assert asked.path == "/apis/authentication.k8s.io/v1/tokenreviews"
        wanted = asked.document
        found = self.accounts.get(wanted["spec"]["token"])
        status: dict[str, object] = {"authenticated": found is not None}
        if found is not None:
            namespace, account, uid = found.split(":")
            status["user"] = {
                "username": f"system:serviceaccount:{namespace}:{account}",
                "uid": uid,
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"],
            }
        document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": wanted["spec"]}
        return Reply(201, {**document, "status": status})


@pytest.fixture
def cluster(bao, tmp_path):
    if not bao.process:
        pytest.skip("the server of TARNHELM_TEST_VAULT cannot reach this machine's fake cluster")
    made = Cluster(tmp_path / "cluster")
    bao.admin("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
    reviewer = made.token("vault", "reviewer")
    settings = {"kubernetes_host": made.server.address, "kubernetes_ca_cert": made.ca, "token_reviewer_jwt": reviewer}
    bao.admin("POST", "auth/kubernetes/config", settings)
    role = {
        "bound_service_account_names": ["assign"],
        "bound_service_account_namespaces": ["tarnhelm-linkage"],
        "token_policies": ["tarnhelm-assign"],
        "token_no_default_policy": True,
        "token_ttl": "1h",
    }
    bao.admin("POST", "auth/kubernetes/role/tarnhelm-assign", role)
    yield made
    made.server.close()
    bao.admin("DELETE", "sys/auth/kubernetes")


def test_a_pod_enters_by_its_service_account(bao, project, enter, tmp_path, cluster):
    path = tmp_path / "jwt"
    path.write_text(cluster.token("tarnhelm-linkage", "assign"))
    session = enter(bao.server, KubernetesAccount("tarnhelm-assign", path))
    vault = TransitVault(session)
    before = vault.hmac(project, 1, b"x")
    assert cluster.server.asked
    # The kubelet replaces the token; the next login takes the new one.
    cluster.accounts.clear()
    path.write_text(cluster.token("tarnhelm-linkage", "assign"))
    bao.admin("POST", "auth/token/revoke", {"token": token_of(session)})
    assert vault.hmac(project, 1, b"x") == before


def test_another_service_account_stays_out(bao, enter, tmp_path, cluster):
    path = tmp_path / "jwt"
    for namespace, account in [("tarnhelm-linkage", "metadata"), ("tarnhelm", "assign")]:
        path.write_text(cluster.token(namespace, account))
        assert error_of(enter(bao.server, KubernetesAccount("tarnhelm-assign", path)).check).code == "LNK-030"
    # A token of the right name that the cluster does not vouch for: a forged one.
    path.write_text(cluster.token("tarnhelm-linkage", "assign"))
    reviewed = len(cluster.server.asked)
    enter(bao.server, KubernetesAccount("tarnhelm-assign", path)).check()
    cluster.accounts.clear()
    assert error_of(enter(bao.server, KubernetesAccount("tarnhelm-assign", path)).check).code == "LNK-030"
    assert len(cluster.server.asked) == reviewed + 2
