"""What the doctor looks at over HTTP: each endpoint of models, judge and embeddings once, and the mail provider.

What belongs here: which endpoints are in use, with whose key, and looking at them. What does not: what follows from a
look (run.doctor).
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from evalops_core.domain.chat import ChatRequest, Message, ModelRef
from evalops_core.domain.look import Look
from evalops_core.domain.scorer import in_force
from evalops_core.domain.suite import Suite
from evalops_core.errors import CallError, ConfigError
from evalops_core.providers.chat import ChatClient
from evalops_core.providers.http import open_session
from evalops_core.providers.local_model.catalogue import CHAT_FILE
from evalops_core.providers.local_model.runtime import require_machine
from evalops_core.providers.look import LookedAt
from evalops_core.providers.mail import ResendMailer
from evalops_core.providers.retry import CallPolicy
from evalops_core.run.doctor import endpoints, mail
from evalops_core.run.doctor.endpoints import Asked
from evalops_core.run.doctor.finding import Finding
from evalops_core.setting_types import EMBEDDED
from evalops_core.settings import Settings
from evalops_core.wiring.alerts import alert_rules
from evalops_core.wiring.connections import endpoint_key, model_key
from evalops_core.wiring.models import OPENAI, embeds_here, judge_ref, model_ref, model_server

ENDPOINT_CHECKS = ("model", "judge", "embeddings")
_POLICY = CallPolicy(timeout_s=10.0, deadline_s=10.0, max_attempts=1)
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Seen:
    """`ahead_s`: by how many seconds this host's clock is ahead of others that told their time, by their names."""

    findings: Sequence[Finding]
    ahead_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Target:
    asked: Asked
    ref: ModelRef
    key: SecretStr | None


def look_at_models(settings: Settings, suites: Mapping[str, Suite], *, ask: bool) -> Seen:
    """A finding for each endpoint's model in use; with `ask` each is asked one question, which is paid."""
    targets, findings = _targets(settings, suites)
    looked = _until_done(_look_at(targets, ask=ask))
    findings += [finding for finding, _ in looked]
    findings += _embedded(settings, suites)
    if settings.judge_model is None:
        findings.append(endpoints.no_judge())
    if not any(finding.name == "embeddings" for finding in findings):
        findings.append(endpoints.no_embeddings())
    return Seen(
        sorted(findings, key=lambda finding: ENDPOINT_CHECKS.index(finding.name)),
        {look.host: look.ahead_s for _, look in looked if look is not None and look.ahead_s is not None},
    )


def look_at_mail(settings: Settings, suites: Mapping[str, Suite]) -> Seen:
    """Nothing is sent."""
    key = settings.mail_key()
    if key is None:
        return Seen(mail.no_key(), {})
    try:
        look = ResendMailer(key, settings.alert_from, settings.resend_base_url).look()
    except ConfigError as error:
        return Seen(mail.unusable_key(str(error)), {})
    rules = alert_rules(settings, suites)
    untold = [
        feature
        for feature, suite in suites.items()
        if not rules.of(feature).recipients and suite.alerts.recipients is None
    ]
    ahead_s = {} if look.ahead_s is None else {look.host: look.ahead_s}
    return Seen(mail.mail(look, settings.alert_from, untold), ahead_s)


def _targets(settings: Settings, suites: Mapping[str, Suite]) -> tuple[list[_Target], list[Finding]]:
    """The endpoints that can be asked, each once, and findings about those that cannot."""
    users: dict[tuple[str, str, SecretStr | None], list[str]] = {}
    models: list[_Target] = []
    problems: dict[str, None] = {}  # suites that share an endpoint share what is wrong with it
    for feature, suite in suites.items():
        try:
            ref = model_ref(suite.model, settings)
            if ref.base_url == EMBEDDED:
                continue
            key = model_key(suite, ref, settings)
        except ConfigError as error:
            problems[str(error)] = None
            continue
        using = users.setdefault((ref.name, ref.base_url, key), [])
        if not using:
            models.append(_Target(Asked("model", ref.name, using, _key_in(suite, ref), _url_in(suite)), ref, key))
        using.append(feature)
    findings = [endpoints.unusable("model", problem) for problem in problems]
    others = [("judge", judge_ref(settings), settings.judge_api_key)]
    if settings.embedding_model is not None:
        ref = ModelRef(settings.embedding_model, settings.embedding_base_url.rstrip("/"))
        others.append(("embeddings", ref, settings.embedding_api_key))
    for check, ref, configured in others:
        if ref is None:
            continue
        prefix = "EVALOPS_JUDGE" if check == "judge" else "EVALOPS_EMBEDDING"
        try:
            key = endpoint_key(settings, configured, ref.base_url, f"{prefix}_API_KEY")
        except ConfigError as error:
            findings.append(endpoints.unusable(check, str(error)))
            continue
        models.append(_Target(Asked(check, ref.name, (), f"{prefix}_API_KEY", f"{prefix}_BASE_URL"), ref, key))
    return models, findings


def _key_in(suite: Suite, ref: ModelRef) -> str:
    if ref.api_key_env is not None:
        return ref.api_key_env
    if suite.model.name is None and suite.model.base_url is None:
        return "EVALOPS_MODEL_API_KEY"
    if urlsplit(ref.base_url).hostname == urlsplit(OPENAI).hostname:
        return "OPENAI_API_KEY"
    return "a variable, and name it as `api_key_env` of the suite's model"


def _url_in(suite: Suite) -> str:
    return "EVALOPS_MODEL_BASE_URL" if suite.model.base_url is None else "`base_url` of the suite's model"


def _embedded(settings: Settings, suites: Mapping[str, Suite]) -> list[Finding]:
    """Of the embedded models, as far as they are in use; their server is not started for it."""
    judged = settings.judge_model is not None
    users: dict[str, list[str]] = {"model": [], "embeddings": []}
    for feature, suite in suites.items():
        try:
            if model_ref(suite.model, settings).base_url == EMBEDDED:
                users["model"].append(feature)
        except ConfigError:
            pass  # said by _targets
        if embeds_here(in_force(suite.scorers, judge_configured=judged), settings):
            users["embeddings"].append(feature)
    if not any(users.values()):
        return []
    unfit = None
    try:
        require_machine()
    except ConfigError as error:
        unfit = str(error)
    lacking: dict[str, list[str]] = {"model": [], "embeddings": []}
    for found in model_server(settings).files():
        if found.state != "ok":
            lacking["model" if found.file.name == CHAT_FILE.name else "embeddings"].append(found.path.name)
    return [endpoints.embedded_model(check, using, unfit, lacking[check]) for check, using in users.items() if using]


async def _look_at(targets: Sequence[_Target], *, ask: bool) -> list[tuple[Finding, Look | None]]:
    async with open_session(max(len(targets), 1)) as session:
        return await asyncio.gather(*(_look(session, target, ask=ask) for target in targets))


async def _look(session: aiohttp.ClientSession, target: _Target, *, ask: bool) -> tuple[Finding, Look | None]:
    asked, ref = target.asked, target.ref
    try:
        look = await LookedAt(session, ref.base_url, "models", target.key, _POLICY).look()
    except ConfigError as error:
        return endpoints.unusable(asked.check, f"{asked.who}: {error.problem}, in {asked.url_in}"), None
    if ask and look.status not in (None, 401, 403):
        try:
            return endpoints.answered(asked, look.host, None, await _call(session, target)), look
        except CallError as error:
            return endpoints.answered(asked, look.host, str(error)), look
    return endpoints.endpoint(asked, look), look


async def _call(session: aiohttp.ClientSession, target: _Target) -> str:
    """The model that answered the shortest question; CallError where none did."""
    ref = target.ref
    if target.asked.check == "embeddings":
        from evalops_core.providers.embeddings import EmbeddingClient  # with numpy

        embedded = await EmbeddingClient(session, ref.name, ref.base_url, target.key, _POLICY).embed(["ok"])
        return embedded.model or ref.name
    client = ChatClient(session, ModelRef(ref.name, ref.base_url), target.key, _POLICY)
    request = ChatRequest((Message("user", "Answer with: ok"),), {"max_tokens": 1})
    return (await client.complete(request)).model


def _until_done(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Not `asyncio.run`, which waits for a name that is still being looked up although nobody wants it any more."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()
