"""How a process proves to the vault server who it is: a token file, AppRole, or a Kubernetes service account.

Secrets come from files alone, never from the environment or the command line, and are read anew at each
login, so that whoever renews them (an agent, the kubelet, a person) needs to restart nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tarnhelm.common.errors import VAULT_REFUSED, VAULT_SETTINGS, TarnhelmError

__all__ = ["AppRole", "KubernetesAccount", "Login", "TokenFile", "login_request", "read_secret"]

_LARGEST_SECRET: Final = 16_384
_KUBELET: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A token that somebody else obtains, for example the vault's own agent with its file sink.

    Attributes
    ----------
    path
        Holds the token alone. Refused (LNK-031) where everybody on the machine could read it.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class AppRole:
    """A role id and a secret id that can be used more than once.

    Attributes
    ----------
    role_id
        Names the role; no secret.
    secret_id_file
        Holds the secret id alone. Refused (LNK-031) where everybody on the machine could read it.
    mount
        Where the auth method is mounted.
    """

    role_id: str
    secret_id_file: Path
    mount: str = "approle"


@dataclass(frozen=True, slots=True)
class KubernetesAccount:
    """The pod's service account, which the vault checks by the cluster's TokenReview API.

    Attributes
    ----------
    role
        Of the auth method; bound to service account and namespace there.
    token_file
        The projected service account token. Its mode is the kubelet's affair.
    mount
        Where the auth method is mounted.
    """

    role: str
    token_file: Path = _KUBELET
    mount: str = "kubernetes"


Login = TokenFile | AppRole | KubernetesAccount


def login_request(login: AppRole | KubernetesAccount) -> tuple[str, dict[str, Any]]:
    """Give path and body of the request that trades the credential for a token; the body holds the secret."""
    if isinstance(login, AppRole):
        secret = read_secret(login.secret_id_file, private=True)
        return f"auth/{login.mount}/login", {"role_id": login.role_id, "secret_id": secret}
    return f"auth/{login.mount}/login", {"role": login.role, "jwt": read_secret(login.token_file, private=False)}


def read_secret(path: Path, *, private: bool) -> str:
    """Give the one word that a file holds.

    Raises
    ------
    TarnhelmError
        LNK-031 where it must be private and everybody could read it; LNK-030 (RETRY) where it cannot be
        read or holds no single word: it may be in the middle of being replaced.
    """
    try:
        with path.open("rb") as stream:
            mode = path.stat().st_mode
            content = stream.read(_LARGEST_SECRET + 1)
    except OSError:
        mode, content = 0, b""
    if private and mode & 0o007:
        raise TarnhelmError(VAULT_SETTINGS)
    secret = content.strip().decode("ascii", "replace")
    if not secret or len(content) > _LARGEST_SECRET or not all("!" <= character <= "~" for character in secret):
        raise TarnhelmError(VAULT_REFUSED)
    return secret
