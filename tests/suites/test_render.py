from pathlib import Path
from typing import Any

import pytest

from evalops_core.domain.chat import Message, Role
from evalops_core.domain.scorer import RegexSpec
from evalops_core.domain.suite import Case, Prompt, Suite
from evalops_core.suites.render import LONGEST_MESSAGE, PromptError, PromptRenderer, render


def prompt(*messages: tuple[Role, str]) -> Prompt:
    return Prompt(tuple(Message(role, content) for role, content in messages))


def said(template: str, **fields: Any) -> str:
    (message,) = render(prompt(("user", template)), Case("a", fields=fields))
    return message.content


def test_fields_are_put_into_every_message() -> None:
    messages = render(
        prompt(("system", "Speak {{ tongue }}."), ("user", "{{ word }}\n")),
        Case("a", fields={"tongue": "Czech", "word": "les"}),
    )
    assert messages == (Message("system", "Speak Czech."), Message("user", "les"))


def test_a_renderer_serves_every_case_of_its_suite() -> None:
    cases = tuple(Case(str(n), fields={"n": n}) for n in range(3))
    suite = Suite("f", cases, (RegexSpec(name="r", pattern="x"),), Path(), prompt=prompt(("user", "{{ n }}")))
    renderer = PromptRenderer(suite)
    assert [renderer.render(case)[0].content for case in cases] == ["0", "1", "2"]


def test_a_field_is_data_and_never_a_template() -> None:
    assert said("{{ text }}", text="{{ 1 + 1 }} <b> & ''") == "{{ 1 + 1 }} <b> & ''"


def test_loops_conditions_and_filters_work() -> None:
    assert said("{% for w in words if w %}{{ loop.index }}:{{ w | upper }} {% endfor %}", words=["a", "", "b"]) == (
        "1:A 2:B "
    )
    assert said("{% if hint is defined %}{{ hint }}{% else %}-{% endif %}") == "-"
    assert said("{{ data | tojson }}{{ '=' * 3 }}{{ 2 ** 3 }}", data={"a": 1}) == '{"a": 1}===8'


def test_what_texts_are_usually_made_with_has_its_way() -> None:
    text = "line 1000000 of {it}: 50% off %d\n" * 20_000
    assert said("{{ text | replace('off', 'on') | wordwrap(80) | length }}", text=text) > "600000"
    assert said("{{ text | truncate(500, true) | length }}", text=text * 2) == "500"
    assert said("{{ a ~ ', ' ~ b ~ 1 }}{{ a + b }}{{ 7 % 4 }}", a="x", b="y") == "x, y1xy3"
    assert said("{{ '%s has %.2f' % (a, 1.5) }} {{ '%5d|' | format(n) }}{{ '{:>4}'.format(a) }}", a="x", n=3) == (
        "x has 1.50     3|   x"
    )
    assert (
        said("{{ words | join(', ') | title }}{{ words | map('upper') | list }}", words=["a", "b"]) == "A, B['A', 'B']"
    )
    assert said("{{ text.split('\\n') | length }} {{ words | batch(2, '-') | list }}", text=text, words=["a"]) == (
        "20001 [['a', '-']]"
    )


def test_without_a_prompt_a_text_is_the_users_message() -> None:
    assert render(Prompt(), Case("a", fields={"input": "hello"})) == (Message("user", "hello"),)


def test_a_text_follows_a_prompt_of_system_messages() -> None:
    messages = render(prompt(("system", "Be kind.")), Case("a", fields={"input": "hello"}))
    assert messages == (Message("system", "Be kind."), Message("user", "hello"))


def test_a_cases_own_messages_follow_the_prompts_system_messages() -> None:
    own = (Message("user", "{{ not a template"), Message("assistant", "b"), Message("user", "c"))
    assert render(prompt(("system", "Be kind.")), Case("a", messages=own)) == (Message("system", "Be kind."), *own)


def test_a_cases_own_messages_and_the_prompts_talk_exclude_each_other() -> None:
    with pytest.raises(PromptError, match=r"prompt\[1\].content: the case has messages of its own") as caught:
        render(prompt(("system", "x"), ("user", "y")), Case("a", messages=(Message("user", "c"),)))
    assert caught.value.message == 1


def test_fields_without_a_prompt_are_refused() -> None:
    with pytest.raises(PromptError, match="no prompt to put the case's fields into"):
        render(Prompt(), Case("a", fields={"word": "les"}))


def test_a_missing_field_is_named_with_those_there_are() -> None:
    with pytest.raises(PromptError, match=r"no field wrod \(did you mean word\?\); it has sentence and word") as caught:
        said("one\n{{ wrod }}", word="les", sentence="x")
    assert (caught.value.message, caught.value.template_line) == (0, 2)


@pytest.mark.parametrize(
    "template",
    [
        "{{ word.__class__ }}",
        "{{ word.__class__.__mro__[1].__subclasses__() }}",
        "{{ word['__class__'] }}",
        "{{ word | attr('__class__') }}",
        "{{ words.append('x') }}",
        "{{ '{0.__class__}'.format(word) }}",
        "{{ word.upper }}",
        "{{ range }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ word * 2000000 }}",
        "{{ words * 2000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (10 ** 9, 1) }}",
        "{{ '%.999999999f' | format(1) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=10 ** 9) }}",
        "{{ word | center(10 ** 9) }}",
        "{{ word.ljust(10 ** 9) }}",
        "{{ word | indent(10 ** 9) }}",
        "{{ words | batch(10 ** 9, 'x') | list }}",
        "{{ (word * 300000) | replace('l', word * 300000) }}",
        "{{ (word * 300000).replace('l', word * 300000) }}",
        "{{ (word * 300000).join(word * 300000) }}",
        "{% set a = 'x' * 900000 %}{% set a = a ~ a %}{% set a = a ~ a %}{{ a | length }}",
        "{% set a = 'x' * 900000 %}{% set a = a + a %}{% set a = a + a %}{{ a | length }}",
        "{{ (words * 900000 + words * 900000) | length }}",
        "{{ word ~ word.upper }}",
        "{{ word + 1 }}",
        "{{ 1 / 0 }}",
        "{{ words.absent }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{{ lipsum() }}",
        "{{ words | random }}",
        "{% for a in range(100000) %}{{ word * 100 }}{% endfor %}",
        "{% for a in range(10 ** 9) %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ word",
        "{% if %}",
        "{{ word | nofilter }}",
        "{{ " + "(" * 5000 + "}}",
        "{{ " + "9" * 5000 + " }}",
    ],
)
def test_a_template_that_reaches_too_far_or_fails_is_refused(template: str) -> None:
    words = ["a"]
    with pytest.raises(PromptError):
        said(template, word="les", words=words)
    assert words == ["a"]


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("{{ order | default('-') }} {{ order | string }} {{ order | tojson }}", "4400123456 4400123456 4400123456"),
        ("{{ '%d' | format(order) }} {{ '{:,}'.format(order) }}", "4400123456 4,400,123,456"),
        ("{{ 2500 * 1000 }} {{ order * 2 }} {{ order - 1 }}", "2500000 8800246912 4400123455"),
        ("{{ orders | selectattr('id', 'equalto', order) | map(attribute='id') | join }}", "4400123456"),
        ("{{ (word * 40000) | replace('les' * 20, 'x' * 50) | length }}", "100000"),
        ("{{ (word * 40000).find('x' * 3000) }}", "-1"),
    ],
)
def test_large_numbers_and_long_texts_are_no_reason_to_refuse(template: str, rendered: str) -> None:
    assert said(template, word="les", order=4_400_123_456, orders=[{"id": 4_400_123_456}]) == rendered


@pytest.mark.parametrize(
    "template", ["{{ '{:>999999999}'.format(1) | length }}", "{{ '{a:>999999999}'.format_map({'a': 1}) | length }}"]
)
def test_a_wide_format_is_refused_before_it_makes_its_text(template: str) -> None:
    with pytest.raises(PromptError, match="the format is too wide"):
        said(template)


def test_a_long_message_is_sent_up_to_the_limit() -> None:
    assert len(said("{{ text }}", text="x" * LONGEST_MESSAGE)) == LONGEST_MESSAGE
    with pytest.raises(PromptError, match="grows past 1000000 characters"):
        said("{{ text }}", text="x" * (LONGEST_MESSAGE + 1))
