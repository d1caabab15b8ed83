import pytest

from evalops_core.domain.look import Look
from evalops_core.run.doctor import endpoints
from evalops_core.run.doctor.endpoints import Asked

ASKED = Asked("model", "gpt", ("orders", "explain"), "EVALOPS_MODEL_API_KEY", "EVALOPS_MODEL_BASE_URL")
HOST = "llm.example.com"


@pytest.mark.parametrize(
    ("look", "status", "said"),
    [
        (Look(HOST, 200, listed={"gpt": ""}), "ok", "takes the key"),
        (Look(HOST, 200, listed={}), "ok", "takes the key"),  # an endpoint that keeps its list to itself
        (Look(HOST, 200, listed={"other": ""}), "warning", "does not list this model"),
        (Look(HOST, 200, "a web page"), "warning", "answers with a web page"),
        (Look(HOST, 404), "warning", "answers 404 where its list of models should be"),
        (Look(HOST, 429, "slow down"), "warning", "answers 429: slow down"),
        (Look(HOST, 503), "warning", "answers 503"),
        (Look(HOST, 401, "no such key"), "failed", "refuses the key (401: no such key)"),
        (Look(HOST, 403), "failed", "refuses the key (403)"),
        (Look(HOST, 308, "a redirect to https://elsewhere"), "failed", "a redirect to https://elsewhere"),
        (Look(HOST, None, "did not answer within 10 s"), "failed", "did not answer within 10 s"),
    ],
)
def test_what_an_endpoint_answers_says_whether_it_can_be_used(look: Look, status: str, said: str) -> None:
    found = endpoints.endpoint(ASKED, look)
    assert (found.name, found.status) == ("model", status)
    assert said in found.seen
    assert found.seen.startswith("gpt (of orders, explain): llm.example.com ")
    assert (found.mend is None) == (status == "ok")


def test_a_refused_key_is_mended_where_it_is_set_and_a_wrong_address_where_that_is() -> None:
    assert "EVALOPS_MODEL_API_KEY" in str(endpoints.endpoint(ASKED, Look(HOST, 401)).mend)
    assert "EVALOPS_MODEL_BASE_URL" in str(endpoints.endpoint(ASKED, Look(HOST, None)).mend)


def test_what_a_look_cannot_tell_a_real_call_would() -> None:
    assert "--ask" in str(endpoints.endpoint(ASKED, Look(HOST, 404)).mend)
    assert endpoints.answered(ASKED, HOST, None, "gpt-2026").seen.endswith("answered one call, by gpt-2026")
    assert endpoints.answered(ASKED, HOST, "llm.example.com answered 404: no such model").status == "failed"


def test_files_of_the_embedded_model_that_are_missing_are_downloaded_so_they_are_a_warning() -> None:
    assert endpoints.embedded_model("model", ["explain"], None, []).status == "ok"
    missing = endpoints.embedded_model("model", ["explain"], None, ["chat.gguf"])
    assert (missing.status, missing.mend) == ("warning", "Run `evalops model fetch`.")
    assert endpoints.embedded_model("model", ["explain"], "needs AVX2", []).status == "failed"
