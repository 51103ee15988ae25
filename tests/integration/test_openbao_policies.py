"""The shipped policies on the real OpenBao: each role does what it needs, and is refused everywhere else."""

from __future__ import annotations

import base64
import re
import secrets

import pytest
from tests.support.openbao import POLICIES, ROLES

from tarnhelm.linkage.vaults.transit_names import root_key, seal_context, seal_key

CONTEXT = seal_context("p", b"c")
PLAIN = base64.b64encode(b"x").decode()
OWN_TOKEN = {"GET auth/token/lookup-self", "POST auth/token/renew-self"}
KEY_PATHS = {
    f"{operation}"
    for name in ("ROOT", "SEAL")
    for operation in (
        f"GET transit/keys/{name}",
        f"POST transit/keys/{name}",
        f"DELETE transit/keys/{name}",
        f"POST transit/keys/{name}/config",
        f"POST transit/keys/{name}/rotate",
        # What a policy cannot part from the above, because a glob ends a path: without parameters these do nothing
        # (see test_the_steward_makes_no_key_that_could_leave), and soft deletion takes less than deletion.
        f"POST transit/keys/{name}/csr",
        f"POST transit/keys/{name}/import",
        f"POST transit/keys/{name}/import_version",
        f"POST transit/keys/{name}/set-certificate",
        f"POST transit/keys/{name}/trim",
        f"POST transit/keys/{name}/soft-delete-restore",
        f"DELETE transit/keys/{name}/soft-delete",
    )
}
MAY = {
    "assign": OWN_TOKEN | {"POST transit/encrypt/SEAL"},
    "reveal": OWN_TOKEN | {"POST transit/decrypt/SEAL"},
    "steward": OWN_TOKEN | KEY_PATHS | {"LIST transit/keys", "POST transit/rewrap/SEAL"},
    "backup": OWN_TOKEN | {"GET sys/storage/raft/snapshot"},
    "restore": OWN_TOKEN | {"POST sys/storage/raft/snapshot-force"},
    "approver": OWN_TOKEN | {"POST sys/control-group/request", "POST sys/control-group/authorize"},
}
"""All that each role reaches with an empty body; hmac comes beside it, because it demands a parameter."""

WRAPPING = re.compile(r"(GET|POST) sys/wrapping/(lookup|unwrap|rewrap)")
"""Decided by the wrapping token that is handed in, before any policy: none handed in, nothing to be had."""

NOT_FOR_TOKENS = re.compile(r"identity/oidc/(\.well-known|provider)|sys/")
"""Where the server answers without a token at all."""


@pytest.fixture
def keys(bao):
    """Names of the keys of a new project."""
    project = secrets.token_hex(16)
    bao.keeper().create(project, 1, None)
    return root_key(project, 1), seal_key(project)


def operations(bao):
    """Every operation that the server itself lists, as ``METHOD path`` with names filled in."""
    document = bao.admin("GET", "sys/internal/specs/openapi")
    for path, item in sorted(document["paths"].items()):
        for method in sorted({"get", "post", "delete"} & item.keys()):
            listing = any(entry.get("name") == "list" for entry in item[method].get("parameters", []))
            for name in ("ROOT", "SEAL") if path.startswith("/transit/") and "{name}" in path else ("",):
                filled = path.strip("/").replace("{name}", name or "x").replace("{urlalgorithm}", "sha2-256")
                filled = re.sub(r"{[^}]*}", "x", filled)
                verb = "LIST" if listing else method.upper()
                yield f"{verb} {filled}"


def ask(bao, operation, token, names, body=None):
    verb, path = operation.split(" ", 1)
    for placeholder, name in names.items():
        path = path.replace(placeholder, name)
    return bao.call(verb, path, {} if verb == "POST" and body is None else body, token=token)[0]


def test_every_operation_of_the_server_is_refused_but_those_of_the_role(own_bao):
    project = secrets.token_hex(16)
    own_bao.keeper().create(project, 1, None)
    names = {"ROOT": root_key(project, 1), "SEAL": seal_key(project)}
    everything = list(operations(own_bao))
    assert len(everything) > 350
    # What answers without a token gives a token nothing; it must lie outside what roles are about.
    guarded = [entry for entry in everything if ask(own_bao, entry, "", names) == 403]
    public = [entry.split(" ", 1)[1] for entry in everything if entry not in guarded]
    assert not [path for path in public if not (NOT_FOR_TOKENS.match(path) or path.endswith("/login"))]
    assert {"GET transit/export/x/SEAL", "GET transit/backup/SEAL", "POST transit/decrypt/SEAL"} <= set(guarded)
    for role, may in MAY.items():
        own_bao.admin("PUT", f"sys/policies/acl/tarnhelm-{role}", {"policy": (POLICIES / f"{role}.hcl").read_text()})
        token = own_bao.token_of(role)
        found = {entry: ask(own_bao, entry, token, names) for entry in guarded}
        assert {status for entry, status in found.items() if WRAPPING.fullmatch(entry)} == {400}
        reached = {entry for entry, status in found.items() if status != 403 and not WRAPPING.fullmatch(entry)}
        assert reached == may, role
        assert own_bao.call("GET", "auth/token/lookup-self", token=token)[1]["data"]["policies"] == [f"tarnhelm-{role}"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_signs_with_the_first_version_of_root_keys_alone(bao, keys, role):
    root, seal = keys
    token = bao.token_of(role)
    good = {"input": PLAIN, "key_version": "1"}
    assert bao.call("POST", f"transit/hmac/{root}", good, token=token)[0] == 200
    assert bao.call("POST", f"transit/hmac/{root}", {"input": PLAIN}, token=token)[0] == 403
    assert bao.call("POST", f"transit/hmac/{root}", {**good, "key_version": "2"}, token=token)[0] == 403
    assert bao.call("POST", f"transit/hmac/{seal}", good, token=token)[0] == 403
    assert bao.call("POST", "transit/hmac/other", good, token=token)[0] == 403


def test_only_assign_writes_and_only_reveal_reads(bao, keys):
    _, seal = keys
    wanted = {"batch_input": [{"plaintext": PLAIN, "context": CONTEXT}]}
    sealed = bao.admin("POST", f"transit/encrypt/{seal}", wanted)["data"]["batch_results"][0]["ciphertext"]
    opened = {"batch_input": [{"ciphertext": sealed, "context": CONTEXT}]}
    for role in ROLES:
        token = bao.token_of(role)
        found = [
            bao.call("POST", f"transit/{what}/{seal}", body, token=token)[0]
            for what, body in [("encrypt", wanted), ("decrypt", opened), ("rewrap", opened)]
        ]
        assert found == [200 if role == able else 403 for able in ("assign", "reveal", "steward")], role


def test_to_encrypt_with_a_key_that_is_not_there_makes_none(bao):
    missing = seal_key(secrets.token_hex(16))
    wanted = {"batch_input": [{"plaintext": PLAIN, "context": CONTEXT}]}
    token = bao.token_of("assign")
    assert bao.call("POST", f"transit/encrypt/{missing}", wanted, token=token)[0] == 403
    # The policy alone is enough: the engine's own setting against it is a second lock.
    bao.admin("POST", "transit/config/keys", {"disable_upsert": False})
    try:
        assert bao.call("POST", f"transit/encrypt/{missing}", wanted, token=token)[0] == 403
        assert bao.call("POST", f"transit/encrypt/{missing}", {**wanted, "type": "aes256-gcm96"}, token=token)[0] == 403
    finally:
        bao.admin("POST", "transit/config/keys", {"disable_upsert": True})
    assert bao.call("POST", f"transit/encrypt/{missing}", wanted)[0] == 400
    assert bao.call("GET", f"transit/keys/{missing}")[0] == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("NEW", {"type": "aes256-gcm96", "derived": True, "exportable": True}),
        ("NEW", {"type": "aes256-gcm96", "derived": True, "allow_plaintext_backup": True}),
        ("NEW", {"type": "aes256-gcm96", "derived": False}),
        ("NEW", {"type": "aes256-gcm96", "derived": True, "convergent_encryption": True}),
        ("NEW", {"type": "rsa-4096"}),
        ("NEW/import", {"ciphertext": PLAIN, "type": "aes256-gcm96"}),
        ("SEAL/import_version", {"ciphertext": PLAIN}),
        ("SEAL/config", {"exportable": True}),
        ("SEAL/config", {"allow_plaintext_backup": True}),
        ("SEAL/config", {"auto_rotate_period": "1h"}),
        ("SEAL/config", {"min_encryption_version": 1}),
        ("SEAL/trim", {"min_available_version": 1}),
        ("SEAL/set-certificate", {"certificate_chain": PLAIN}),
        ("ROOT/config", {"min_decryption_version": 2}),
        ("ROOT/config", {"exportable": True}),
        ("other", {"type": "aes256-gcm96"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_the_steward_makes_no_key_that_could_leave(bao, keys, path, body):
    new = seal_key(secrets.token_hex(16))
    full = path.replace("NEW", new).replace("ROOT", keys[0]).replace("SEAL", keys[1])
    assert bao.call("POST", f"transit/keys/{full}", body, token=bao.token_of("steward"))[0] == 403


def test_the_default_policy_would_have_opened_more(bao):
    # Why the guide turns it off: a token with it reaches its cubbyhole, tools and identity besides.
    token = bao.token_of("assign", token_no_default_policy=False)
    assert bao.call("POST", "cubbyhole/x", {"a": "b"}, token=token)[0] == 204
    assert bao.call("POST", "cubbyhole/x", {"a": "b"}, token=bao.token_of("assign"))[0] == 403


def test_with_control_groups_a_decryption_waits_for_a_second_person(bao, keys):
    seal = keys[1]
    policy = (POLICIES / "reveal-two-person.hcl").read_text()
    bao.admin("PUT", "sys/policies/acl/tarnhelm-reveal-two-person", {"policy": policy})
    wanted = {"batch_input": [{"plaintext": PLAIN, "context": CONTEXT}]}
    sealed = bao.admin("POST", f"transit/encrypt/{seal}", wanted)["data"]["batch_results"][0]["ciphertext"]
    body = {"batch_input": [{"ciphertext": sealed, "context": CONTEXT}]}
    token = bao.token_of("reveal", token_policies=["tarnhelm-reveal-two-person"])
    status, document = bao.call("POST", f"transit/decrypt/{seal}", body, token=token)
    assert status == 200
    assert document["data"] is None
    wrapped = document["wrap_info"]["token"]
    assert bao.call("POST", "sys/wrapping/unwrap", {"token": wrapped}, token=token)[0] in {400, 403}
    approver = _approver(bao)
    accessor = document["wrap_info"]["accessor"]
    status, document = bao.call("POST", "sys/control-group/authorize", {"accessor": accessor}, token=approver)
    assert (status, document["data"]["approved"]) == (200, True)
    status, document = bao.call("POST", "sys/wrapping/unwrap", {"token": wrapped}, token=token)
    assert status == 200
    assert document["data"]["batch_results"][0]["plaintext"] == PLAIN


def _approver(bao):
    """Token of a member of the group tarnhelm-approvers."""
    policy = 'path "sys/control-group/authorize" { capabilities = ["update"] }'
    bao.admin("PUT", "sys/policies/acl/approver", {"policy": policy})
    token = bao.token_of("reveal", token_policies=["approver"])
    found = bao.admin("POST", "auth/token/lookup", {"token": token})["data"]["entity_id"]
    bao.admin("POST", "identity/group", {"name": "tarnhelm-approvers", "member_entity_ids": [found]})
    return token
