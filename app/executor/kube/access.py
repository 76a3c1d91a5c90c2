"""How to reach a cluster's API server: a kubeconfig, or the service account of the pod that we run in.

Inputs: `KubeAccess`. Outputs: a client Configuration of the kubernetes package, and whatever renews its token.
Errors: KubeAccessError, one line that names the file.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration

from app.executor.kubernetes import ClusterAccessError

KUBECONFIG_BYTES_MAX = 4 << 20
CONNECTIONS_MAX = 100
RENEW_EVERY = timedelta(seconds=60)


class KubeAccessError(ClusterAccessError):
    """the kubeconfig or service account cannot be used"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeAccess:
    """kubeconfig None: the service account of our own pod. context None: the file's current one."""

    kubeconfig: Path | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """renew: asks a credential plugin for a new token when the old one is about to expire; called before calls."""

    configuration: Any
    renew: Callable[[], Awaitable[None]]


async def reach(access: KubeAccess) -> Reach:
    """Reads the credentials. Raises KubeAccessError."""
    configuration = Configuration(connection_pool_maxsize=CONNECTIONS_MAX)
    if access.kubeconfig is None:
        try:
            kubernetes_config.load_incluster_config(configuration)
        except (kubernetes_config.ConfigException, OSError) as error:
            raise KubeAccessError(f"no kubeconfig is set, and there is no service account here: {error}") from None
        return Reach(configuration=configuration, renew=_nothing)
    loader = await _read(access.kubeconfig, access.context, configuration)
    _check(access.kubeconfig, configuration)
    return Reach(configuration=configuration, renew=_renewing(loader, configuration))


async def _read(path: Path, context: str | None, configuration: Any) -> Any:
    try:
        if path.stat().st_size > KUBECONFIG_BYTES_MAX:
            raise KubeAccessError(f"kubeconfig {path}: larger than {KUBECONFIG_BYTES_MAX} bytes")
        content = await asyncio.to_thread(_parsed, path)
        if not isinstance(content, dict):
            raise KubeAccessError(f"kubeconfig {path}: not a kubeconfig")
        return await kubernetes_config.load_kube_config(
            str(path), context=context, client_configuration=configuration, persist_config=False
        )
    except OSError as error:
        raise KubeAccessError(f"kubeconfig {path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise KubeAccessError(f"kubeconfig {path}: not YAML") from None
    except kubernetes_config.ConfigException as error:
        raise KubeAccessError(f"kubeconfig {path}: {_one_line(error)}") from None
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        # The package assumes the right types in places; what it says then is of little help.
        raise KubeAccessError(f"kubeconfig {path}: not a kubeconfig ({_one_line(error)})") from None


def _parsed(path: Path) -> object:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _check(path: Path, configuration: Any) -> None:
    """What would else show only at the first call, and less clearly."""
    address = urlsplit(str(configuration.host))
    if address.scheme not in ("https", "http") or not address.hostname:
        raise KubeAccessError(f"kubeconfig {path}: server {configuration.host!r} is not an address")
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except (ssl.SSLError, OSError) as error:
        raise KubeAccessError(f"kubeconfig {path}: its certificates cannot be read: {_one_line(error)}") from None


def _renewing(loader: Any, configuration: Any) -> Callable[[], Awaitable[None]]:
    user = getattr(loader, "_user", None)
    if user is None or "exec" not in user:
        return _nothing
    last = datetime.now(UTC)

    async def renew() -> None:
        nonlocal last
        if datetime.now(UTC) - last < RENEW_EVERY:
            return
        last = datetime.now(UTC)
        await loader.load_from_exec_plugin()
        with suppress(AttributeError):
            configuration.api_key["BearerToken"] = loader.token

    return renew


async def _nothing() -> None:
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
