"""What is wrong with the endpoints of models, judge and embeddings, as one look shows, or one call.

What belongs here: deciding. What does not: asking (providers), which endpoints there are (wiring.doctor).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evalops_core.domain.look import Look
from evalops_core.run.doctor.finding import Finding, failed, ok, skipped, warning

_ASK = "`evalops doctor --ask` makes one real call, which tells."


@dataclass(frozen=True, slots=True)
class Asked:
    """`check` is `model`, `judge` or `embeddings`; `used_by` names features, none where the settings alone name it.

    `key_in` and `url_in` say in words where the key and the address are set.
    """

    check: str
    model: str
    used_by: Sequence[str]
    key_in: str
    url_in: str

    @property
    def who(self) -> str:
        return f"{self.model} (of {', '.join(self.used_by)})" if self.used_by else self.model


def endpoint(asked: Asked, look: Look) -> Finding:
    """After `GET {base_url}/models`, which is free."""
    name, status = asked.check, look.status
    reason = f": {look.said}" if look.said else ""
    if status is None:
        return failed(
            name,
            f"{asked.who}: {look.host} {look.said}",
            f"Start it, or correct the address in {asked.url_in}.",
        )
    if status in (401, 403):
        return failed(
            name,
            f"{asked.who}: {look.host} refuses the key ({status}{reason})",
            f"Set a key that it accepts in {asked.key_in}.",
        )
    if 300 <= status < 400:
        return failed(
            name, f"{asked.who}: {look.host} answers with {look.said}", f"Correct the address in {asked.url_in}."
        )
    if status == 429 or status >= 500:
        return warning(
            name,
            f"{asked.who}: {look.host} is there but answers {status}{reason}",
            "Wait, or ask whoever runs it; eval runs try such calls again.",
        )
    if status != 200 or look.listed is None:
        what = f"answers {status}{reason}" if status != 200 else f"answers with {look.said}"
        return warning(
            name,
            f"{asked.who}: {look.host} is there, but {what} where its list of models should be, so nothing is known "
            "of key and model",
            f"Correct the address in {asked.url_in} if it is wrong. {_ASK}",
        )
    if look.listed and asked.model not in look.listed:
        return warning(
            name,
            f"{asked.who}: {look.host} answers, but does not list this model",
            f"Correct the name if it is wrong. {_ASK}",
        )
    return ok(name, f"{asked.who}: {look.host} answers, and takes the key; nothing was asked of the model")


def answered(asked: Asked, host: str, problem: str | None, model: str = "") -> Finding:
    """After a real call: `model` is what answered, `problem` why nothing did."""
    if problem is None:
        return ok(asked.check, f"{asked.who}: {host} answered one call, by {model or asked.model}")
    return failed(
        asked.check,
        f"{asked.who}: one call failed: {problem}",
        f"Correct the model's name, the key in {asked.key_in} or the address in {asked.url_in}.",
    )


def unusable(check: str, problem: str) -> Finding:
    """Where the configuration names no endpoint, or no key for it; `problem` is the error's sentence."""
    return failed(check, problem, "Set what the sentence names.")


def embedded_model(check: str, used_by: Sequence[str], unfit: str | None, lacking: Sequence[str]) -> Finding:
    """`unfit` is why this machine cannot run it; `lacking` are files that are missing or damaged."""
    who = f"the embedded model (of {', '.join(used_by)})" if used_by else "the embedded model"
    if unfit is not None:
        return failed(check, f"{who}: {unfit}", "Do what the sentence says.")
    if lacking:
        return warning(
            check,
            f"{who}: not there or damaged: {', '.join(lacking)}; the first run downloads what it needs",
            "Run `evalops model fetch`.",
        )
    return ok(check, f"{who}: its files are complete")


def no_judge() -> Finding:
    return skipped("judge", "no judge is configured, so judge scorers use their fallbacks")


def no_embeddings() -> Finding:
    return skipped("embeddings", "no suite compares by embeddings, and no model for them is set")
