"""Who asks: bearer tokens of people and programs, tokens of executors, and the anonymous user of a machine of one's
own.

Inputs: the Authorization header, tokens of the settings. Outputs: the `Principal` that goes into commands, or a
cluster's name. Tokens are kept and compared as SHA-256 only. What a principal may do is decided from the log, not here.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from app.api.errors import ApiError
from app.domain.commands import Principal
from app.domain.errors import ErrorCode
from app.settings import Settings
from app.settings.api import GLOBAL_VERBS

_TOKEN_CHARS_MAX = 4_096

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserToken:
    """A bearer token (its SHA-256 in hex) and who carries it."""

    sha256: str
    principal: Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorToken:
    """An executor's token (its SHA-256 in hex) and the only cluster that it speaks for."""

    sha256: str
    cluster: str


def token_hash(token: str) -> str:
    """How a token stands in the settings."""
    return hashlib.sha256(token.encode()).hexdigest()


class Authenticator:
    """Bearer tokens to principals. anonymous: who comes without a token (None: nobody may)."""

    def __init__(self, tokens: Iterable[UserToken], *, anonymous: Principal | None) -> None:
        self._principals = {token.sha256: token.principal for token in tokens}
        self._anonymous = anonymous

    def principal(self, authorization: str | None) -> Principal:
        """The principal of a header. A wrong token is never anonymous. Raises ApiError UNAUTHENTICATED."""
        if authorization is None and self._anonymous is not None:
            return self._anonymous
        principal = self._principals.get(token_hash(bearer_token(authorization)))
        if principal is None:
            raise _unauthenticated("this token is not known")
        return principal


class ExecutorAuthenticator:
    """Executors' tokens to clusters."""

    def __init__(self, tokens: Iterable[ExecutorToken]) -> None:
        self._clusters = {token.sha256: token.cluster for token in tokens}

    def cluster(self, authorization: str | None) -> str:
        """The cluster that the token speaks for. Raises ApiError UNAUTHENTICATED."""
        cluster = self._clusters.get(token_hash(bearer_token(authorization)))
        if cluster is None:
            raise _unauthenticated("this executor token is not known")
        return cluster


def bearer_token(authorization: str | None) -> str:
    """The token of `Authorization: Bearer TOKEN`. Raises ApiError UNAUTHENTICATED."""
    if authorization is None:
        raise _unauthenticated("an Authorization header with a bearer token is needed")
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _TOKEN_CHARS_MAX:
        raise _unauthenticated("the Authorization header must be: Bearer TOKEN")
    return token


def _unauthenticated(message: str) -> ApiError:
    return ApiError(ErrorCode.UNAUTHENTICATED, message)


def authenticators(settings: Settings) -> tuple[Authenticator, ExecutorAuthenticator]:
    """Those of the settings, for users and for executors. Says loudly where anybody may do anything."""
    api = settings.api
    users = [
        UserToken(
            sha256=token.sha256,
            principal=Principal(user=token.user, groups=token.groups, verbs=token.granted_verbs()),
        )
        for token in api.tokens
    ]
    anonymous = None
    if api.anonymous:
        # The settings refuse this for an address that other machines reach.
        anonymous = Principal(user=api.anonymous_user, verbs=GLOBAL_VERBS)
        logger.warning(
            "ANONYMOUS ACCESS: every program on this machine may do everything here as user %r (api.anonymous)",
            api.anonymous_user,
        )
    executors = [
        ExecutorToken(sha256=cluster.token_sha256, cluster=name)
        for name, cluster in settings.clusters.items()
        if cluster.token_sha256 is not None
    ]
    return Authenticator(users, anonymous=anonymous), ExecutorAuthenticator(executors)
