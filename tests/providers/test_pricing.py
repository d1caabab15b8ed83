import subprocess
import sys
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from evalops_core.domain.chat import Usage
from evalops_core.providers.pricing import PriceOverride, price

OPENAI = "https://api.openai.com/v1"
tokens = st.integers(0, 10**7)


def test_a_listed_model_costs_what_its_provider_lists() -> None:
    assert price("gpt-4o-mini-2024-07-18", OPENAI, Usage(1_000_000, 1_000_000)) == Decimal("0.75")


@given(tokens, tokens)
def test_money_is_exact(prompt: int, completion: int) -> None:
    one = price("gpt-4o-mini", OPENAI, Usage(prompt, completion))
    assert one == (Decimal("0.15") * prompt + Decimal("0.6") * completion) / 1_000_000


def test_an_unknown_price_is_none_and_not_zero() -> None:
    some = Usage(1000, 1000)
    assert price("no-such-model", OPENAI, some) is None
    assert price("gpt-4o-mini", "https://llm.example.com/v1", some) is None
    assert price("gpt-4o-mini", "http://127.0.0.1:11434/v1", some) is None
    assert price("gemma-3", "https://generativelanguage.googleapis.com/v1beta/openai", some) is None, "listed, unpriced"


def test_unknown_token_counts_make_the_price_unknown() -> None:
    assert price("gpt-4o-mini", OPENAI, Usage(None, 5)) is None
    assert price("gpt-4o-mini", OPENAI, Usage(5, None)) is None


def test_the_embedded_model_costs_nothing() -> None:
    assert price("any", "embedded", Usage(5, 5)) == 0
    assert price("any", "embedded", Usage()) == 0


def test_a_configured_price_comes_before_every_other() -> None:
    mine = {"gpt-4o-mini": PriceOverride(Decimal(1), Decimal("2.5"))}
    assert price("gpt-4o-mini", OPENAI, Usage(1_000_000, 2_000_000), mine) == 6
    assert price("gpt-4o-mini", OPENAI, Usage(None, 1), mine) is None
    assert price("gpt-4o", OPENAI, Usage(1000, 0), mine) == price("gpt-4o", OPENAI, Usage(1000, 0))


def test_prices_never_come_from_the_network() -> None:
    program = """
import sys
from decimal import Decimal

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("network:", event, arguments)

sys.addaudithook(forbid)
from evalops_core.domain.chat import Usage
from evalops_core.providers.pricing import price
print(price("gpt-4o-mini", "https://api.openai.com/v1", Usage(1000, 0)))
print(price("no-such-model", "https://api.openai.com/v1", Usage(1000, 0)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.00015", "None"]


def test_the_list_is_not_read_for_an_address_of_a_network_of_one_s_own() -> None:
    """It takes a sixth of a second to import, and no provider can be listed there."""
    program = """
import sys
from evalops_core.domain.chat import Usage
from evalops_core.providers.pricing import PriceOverride, price
for host in ("127.0.0.1:8000", "localhost", "10.1.2.3", "192.168.0.9:1", "[::1]:9", "gateway:4000"):
    print(price("gpt-4o-mini", f"http://{host}/v1", Usage(1000, 1000)))
print("genai_prices" in sys.modules)
price("gpt-4o-mini", "http://8.8.8.8/v1", Usage(1000, 1000))
print("genai_prices" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*["None"] * 6, "False", "True"]
