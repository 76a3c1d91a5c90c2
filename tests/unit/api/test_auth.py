"""Who is let in, and as whom."""

import logging

import pytest

from app.api.auth import Authenticator, ExecutorAuthenticator, ExecutorToken, UserToken, authenticators, token_hash
from app.api.errors import ApiError
from app.domain.commands import Principal
from app.domain.errors import ErrorCode
from app.settings import SettingsError, load_settings

ALICE = Principal(user="alice", groups=("team",), verbs=("create_queue",))
NOBODY = Principal(user="anonymous")
USERS = Authenticator([UserToken(sha256=token_hash("secret"), principal=ALICE)], anonymous=None)
OPEN = Authenticator([UserToken(sha256=token_hash("secret"), principal=ALICE)], anonymous=NOBODY)
EXECUTORS = ExecutorAuthenticator([ExecutorToken(sha256=token_hash("c0-secret"), cluster="c0")])


def test_a_token_names_its_principal() -> None:
    assert USERS.principal("Bearer secret") == ALICE
    assert USERS.principal("bearer  secret ") == ALICE


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic secret", "Bearer " + "x" * 5_000])
def test_without_a_right_token_nobody_is_let_in(header: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        USERS.principal(header)
    assert refused.value.code is ErrorCode.UNAUTHENTICATED
    assert "secret" not in refused.value.message


def test_a_wrong_token_is_not_anonymous_where_none_is() -> None:
    assert OPEN.principal(None) == NOBODY
    with pytest.raises(ApiError):
        OPEN.principal("Bearer wrong")


def test_an_executor_token_speaks_for_its_cluster_only() -> None:
    assert EXECUTORS.cluster("Bearer c0-secret") == "c0"
    with pytest.raises(ApiError):
        EXECUTORS.cluster("Bearer secret")
    with pytest.raises(ApiError):
        USERS.principal("Bearer c0-secret")


def test_anonymous_access_is_said_loudly(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        users, _ = authenticators(load_settings(None, {}))
    assert "ANONYMOUS ACCESS" in caplog.text
    assert "create_queue" in users.principal(None).verbs


def test_anonymous_access_beyond_loopback_is_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="anonymous"):
        load_settings(None, {"ARGOSY_API__HOST": "0.0.0.0"})


def test_the_tokens_of_the_settings_are_known() -> None:
    environment = {
        "ARGOSY_API__ANONYMOUS": "false",
        "ARGOSY_API__TOKENS": f'[{{"sha256": "{token_hash("t")}", "user": "bob", "groups": ["g"], "verbs": ["*"]}}]',
        "ARGOSY_CLUSTERS__C1__TOKEN_SHA256": token_hash("e"),
    }
    users, executors = authenticators(load_settings(None, environment))
    assert users.principal("Bearer t").user == "bob"
    assert "cancel_any_jobs" in users.principal("Bearer t").verbs
    assert executors.cluster("Bearer e") == "c1"
    with pytest.raises(ApiError):
        users.principal(None)
