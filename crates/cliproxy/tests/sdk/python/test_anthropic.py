"""The official Anthropic SDK over providers of every format."""

import json

import anthropic
import pytest

from provider import (
    ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, COUNT, FORMATS, FOR_AMP, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF,
    PNG, REPORT, RESULTS, THOUGHT, Report, got, in_base64,
)

HI = [{"role": "user", "content": "Hi"}]
ASK = [{"role": "user", "content": "What is the weather in Rome, and what time is it?"}]
TOOLS = [
    {"name": "get_weather", "description": "Weather", "input_schema": CITY_SCHEMA},
    {"name": "get_time", "description": "Time", "input_schema": {"type": "object", "properties": {}}},
]
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 8192}


@pytest.fixture(scope="module")
def client():
    with anthropic.Anthropic(base_url=GATEWAY, auth_token=KEY, max_retries=0, timeout=20) as client:
        yield client


def check_usage(usage):
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (INPUT - CACHED, CACHED)
    assert usage.output_tokens == OUTPUT


def streamed(client, **wish):
    """The accumulated answer of a stream."""
    with client.messages.stream(**wish) as stream:
        return stream.get_final_message()


def asked(client, is_stream, **wish):
    return streamed(client, **wish) if is_stream else client.messages.create(**wish)


def of_type(answer, kind):
    return [block for block in answer.content if block.type == kind]


def text_of(answer):
    return "".join(block.text for block in of_type(answer, "text"))


def turn(answer):
    """The answer as it is sent back in the next request."""
    return {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]}


def results(calls):
    blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": ANSWERS[call.name]} for call in calls]
    return {"role": "user", "content": blocks}


def test_text(client, provider):
    answer = client.messages.create(model=provider.model, max_tokens=64, system="Be brief.", messages=HI)
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", provider.model)
    assert [block.type for block in answer.content] == ["text"]
    assert (text_of(answer), answer.stop_reason) == (GREETING, "end_turn")
    check_usage(answer.usage)


def test_key_in_its_own_header(provider):
    with anthropic.Anthropic(base_url=GATEWAY, api_key=KEY, max_retries=0) as client:
        assert text_of(client.messages.create(model=provider.model, max_tokens=64, messages=HI)) == GREETING


def test_stream(client, provider):
    with client.messages.stream(model=provider.model, max_tokens=64, system="Be brief.", messages=HI) as stream:
        pieces = list(stream.text_stream)
        answer = stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == text_of(answer) == GREETING
    assert answer.stop_reason == "end_turn"
    check_usage(answer.usage)


@pytest.mark.parametrize("is_stream", [False, True])
def test_two_rounds_of_parallel_tools(client, provider, is_stream):
    wish = {"model": provider.model, "max_tokens": 64, "tools": TOOLS}
    messages = list(ASK)
    seen = set()
    for _round in range(2):
        answer = asked(client, is_stream, messages=messages, **wish)
        assert (text_of(answer), answer.stop_reason) == (CHECKING, "tool_use")
        weather, time = of_type(answer, "tool_use")
        assert (weather.name, weather.input) == ("get_weather", CITY)
        assert (time.name, time.input) == ("get_time", {})
        ids = {weather.id, time.id}
        assert len(ids) == 2 and not ids & seen
        seen |= ids
        messages += [turn(answer), results([weather, time])]
        answer = asked(client, is_stream, messages=messages, **wish)
        assert text_of(answer) == RESULTS
        calls, paired = provider.pairs()
        assert calls == paired and len(calls) == len(seen)
        messages += [turn(answer), {"role": "user", "content": "And now?"}]


def test_image(client, provider):
    source = {"type": "base64", "media_type": "image/png", "data": in_base64(PNG)}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "See"}]
    answer = client.messages.create(
        model=provider.model, max_tokens=64, messages=[{"role": "user", "content": content}]
    )
    assert text_of(answer) == got(("image/png", PNG))


def test_pdf(client, provider):
    source = {"type": "base64", "media_type": "application/pdf", "data": in_base64(PDF)}
    content = [{"type": "document", "source": source, "title": "a.pdf"}, {"type": "text", "text": "Read"}]
    answer = client.messages.create(
        model=provider.model, max_tokens=64, messages=[{"role": "user", "content": content}]
    )
    assert text_of(answer) == got(("application/pdf", PDF))


def test_image_in_a_result(client, provider):
    wish = {"model": provider.model, "max_tokens": 64, "tools": TOOLS}
    answer = client.messages.create(messages=ASK, **wish)
    outcome = results(of_type(answer, "tool_use"))
    source = {"type": "base64", "media_type": "image/png", "data": in_base64(PNG)}
    outcome["content"][0]["content"] = [{"type": "text", "text": "18 C"}, {"type": "image", "source": source}]
    client.messages.create(messages=[*ASK, turn(answer), outcome], **wish)
    assert in_base64(PNG) in json.dumps(provider.last())
    calls, paired = provider.pairs()
    assert calls == paired


@pytest.mark.parametrize("is_stream", [False, True])
def test_thinking_and_its_state(client, provider, is_stream):
    wish = {"model": provider.model, "tools": TOOLS, **THINKING}
    is_bare = FOR_AMP and not is_stream and provider.name != "claude"
    messages = list(ASK)
    for round in (1, 2):
        answer = asked(client, is_stream, messages=messages, **wish)
        thoughts = of_type(answer, "thinking")
        assert bool(thoughts) != is_bare
        if thoughts:
            assert answer.content[0].type == "thinking"
            assert "".join(thought.thinking for thought in thoughts).startswith("Thought ")
        # The API's types demand a signature, also where the provider has none.
        assert all(thought.signature for thought in thoughts)
        check_usage(answer.usage)
        messages += [turn(answer), results(of_type(answer, "tool_use"))]
        answer = asked(client, is_stream, messages=messages, **wish)
        assert text_of(answer) == RESULTS
        if provider.signs and not is_bare:
            # The provider refuses a state that it did not issue, so what arrived is what it said.
            assert len(set(provider.states())) >= round
        messages += [turn(answer), {"role": "user", "content": "And now?"}]


@pytest.mark.parametrize("is_stream", [False, True])
def test_thoughts_are_not_shown_unasked(client, provider, is_stream):
    answer = asked(client, is_stream, model=provider.model, max_tokens=64, messages=ASK, tools=TOOLS)
    assert not of_type(answer, "thinking")


def test_structured_output(client, provider):
    wish = {"model": provider.model, "max_tokens": 256, "messages": HI, "output_format": Report}
    assert client.messages.parse(**wish).parsed_output == REPORT
    with client.messages.stream(**wish) as stream:
        assert stream.get_final_message().parsed_output == REPORT


REFUSALS = [
    ("400", anthropic.BadRequestError, 400, "invalid_request_error"),
    # The provider refused the gateway's key, not the client's.
    ("401", anthropic.InternalServerError, 502, "api_error"),
    ("404", anthropic.NotFoundError, 404, "not_found_error"),
    ("429", anthropic.RateLimitError, 429, "rate_limit_error"),
    ("500", anthropic.InternalServerError, 500, "api_error"),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("kind, error, status, name", REFUSALS)
def test_refusal(client, provider, kind, error, status, name, is_stream):
    with pytest.raises(error) as raised:
        client.messages.create(model=provider.fault(kind), max_tokens=64, messages=HI, stream=is_stream)
    assert raised.value.status_code == status
    assert raised.value.body["error"]["type"] == name
    assert raised.value.request_id
    if kind == "429":
        assert raised.value.response.headers["retry-after"] == "7"
    assert len(provider.received()) == 1


def test_error_in_stream(client, provider):
    text = ""
    with pytest.raises(anthropic.APIStatusError) as raised:
        with client.messages.stream(model=provider.fault("stream"), max_tokens=64, messages=HI) as stream:
            for piece in stream.text_stream:
                text += piece
    assert raised.value.body["error"]["type"] == "api_error"
    assert "ran into a wall" in raised.value.body["error"]["message"]
    assert text and text != GREETING and GREETING.startswith(text)


def test_broken_stream(client, provider):
    with pytest.raises(anthropic.APIStatusError) as raised:
        streamed(client, model=provider.fault("cut"), max_tokens=64, messages=HI)
    assert raised.value.body["error"]["type"] == "api_error"


def test_cancel(client, provider):
    provider.forget()
    with client.messages.stream(model=provider.fault("stall"), max_tokens=64, messages=HI) as stream:
        assert next(stream.text_stream)
    provider.wait_until_dropped()


def test_count(client, provider):
    count = client.messages.count_tokens(model=provider.model, messages=HI, system="Be brief.", tools=TOOLS)
    # Chat has no such endpoint: the gateway estimates.
    if provider.name == "chat":
        assert 0 < count.input_tokens < 1000
    else:
        assert count.input_tokens == COUNT


def test_wrong_key_and_unknown_model(provider):
    wish = {"max_tokens": 64, "messages": HI}
    with anthropic.Anthropic(base_url=GATEWAY, auth_token="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            client.messages.create(model=provider.model, **wish)
    with anthropic.Anthropic(base_url=GATEWAY, auth_token=KEY, max_retries=0) as client:
        with pytest.raises(anthropic.NotFoundError) as raised:
            client.messages.create(model=f"{provider.model}x", **wish)
    assert provider.model in raised.value.body["error"]["message"]
    assert not provider.received()


def test_models(client):
    listed = {model.id: model for model in client.models.list()}
    assert {f"{name}-up" for name in FORMATS} <= set(listed)
    assert listed["claude-up"].type == "model" and listed["claude-up"].display_name
    assert client.models.retrieve("claude-up").id == "claude-up"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nothing")
