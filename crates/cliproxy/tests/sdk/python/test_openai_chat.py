"""The official OpenAI SDK, Chat Completions, over providers of every format."""

import json

import openai
import pytest

from provider import (
    ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, FORMATS, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF, PNG, REPORT,
    RESULTS, THOUGHT, Report, got, in_base64,
)

HI = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
ASK = [{"role": "user", "content": "What is the weather in Rome, and what time is it?"}]
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": CITY_SCHEMA}},
    {"type": "function", "function": {"name": "get_time", "description": "Time"}},
]
COUNTED = {"include_usage": True}


@pytest.fixture(scope="module")
def client():
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


def check_usage(usage, provider, is_thinking=False):
    thought = THOUGHT if is_thinking or provider.thinks_always else 0
    assert (usage.prompt_tokens, usage.completion_tokens) == (INPUT, OUTPUT)
    assert usage.total_tokens == INPUT + OUTPUT
    assert usage.prompt_tokens_details.cached_tokens == CACHED
    assert (usage.completion_tokens_details.reasoning_tokens or 0) == thought


def streamed(client, **wish):
    """The accumulated answer of a stream."""
    with client.chat.completions.stream(stream_options=COUNTED, **wish) as stream:
        return stream.get_final_completion()


def asked(client, is_stream, **wish):
    return streamed(client, **wish) if is_stream else client.chat.completions.create(**wish)


def answers(calls):
    return [{"role": "tool", "tool_call_id": call.id, "content": ANSWERS[call.function.name]} for call in calls]


def test_text(client, provider):
    answer = client.chat.completions.create(model=provider.model, messages=HI)
    assert answer.object == "chat.completion"
    assert answer.model == provider.model
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", GREETING, "stop")
    assert choice.message.tool_calls is None
    check_usage(answer.usage, provider)


def test_stream(client, provider):
    pieces = []
    with client.chat.completions.stream(model=provider.model, messages=HI, stream_options=COUNTED) as stream:
        for event in stream:
            if event.type == "content.delta":
                pieces.append(event.delta)
        answer = stream.get_final_completion()
    assert len(pieces) > 1
    assert "".join(pieces) == answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    check_usage(answer.usage, provider)


def test_raw_stream_without_counts(client, provider):
    chunks = list(client.chat.completions.create(model=provider.model, messages=HI, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == GREETING
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("is_stream", [False, True])
def test_two_rounds_of_parallel_tools(client, provider, is_stream):
    messages = list(ASK)
    seen = set()
    for _round in range(2):
        answer = asked(client, is_stream, model=provider.model, messages=messages, tools=TOOLS)
        [choice] = answer.choices
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", CHECKING)
        weather, time = choice.message.tool_calls
        assert (weather.function.name, json.loads(weather.function.arguments)) == ("get_weather", CITY)
        assert (time.function.name, json.loads(time.function.arguments)) == ("get_time", {})
        ids = {weather.id, time.id}
        assert len(ids) == 2 and not ids & seen
        seen |= ids
        messages += [choice.message.to_dict(), *answers([weather, time])]
        answer = asked(client, is_stream, model=provider.model, messages=messages, tools=TOOLS)
        assert answer.choices[0].message.content == RESULTS
        calls, results = provider.pairs()
        assert calls == results and len(calls) == len(seen)
        messages += [answer.choices[0].message.to_dict(), {"role": "user", "content": "And now?"}]


def test_image(client, provider):
    url = f"data:image/png;base64,{in_base64(PNG)}"
    content = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    answer = client.chat.completions.create(model=provider.model, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == got(("image/png", PNG))


def test_pdf(client, provider):
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{in_base64(PDF)}"}
    content = [{"type": "text", "text": "Read"}, {"type": "file", "file": file}]
    answer = client.chat.completions.create(model=provider.model, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == got(("application/pdf", PDF))


@pytest.mark.parametrize("is_stream", [False, True])
def test_thinking_and_its_state(client, provider, is_stream):
    wish = {"model": provider.model, "tools": TOOLS, "reasoning_effort": "medium"}
    messages = list(ASK)
    for turn in (1, 2):
        answer = asked(client, is_stream, messages=messages, **wish)
        message = answer.choices[0].message
        assert message.reasoning_content.startswith("Thought ")
        assert "Thought" not in message.content
        check_usage(answer.usage, provider, is_thinking=True)
        messages += [message.to_dict(), *answers(message.tool_calls)]
        answer = asked(client, is_stream, messages=messages, **wish)
        assert answer.choices[0].message.content == RESULTS
        if provider.signs:
            # The provider refuses a state that it did not issue, so what arrived is what it said.
            assert len(set(provider.states())) >= turn
        messages += [answer.choices[0].message.to_dict(), {"role": "user", "content": "And now?"}]


def test_structured_output(client, provider):
    answer = client.chat.completions.parse(model=provider.model, messages=HI, response_format=Report)
    assert answer.choices[0].message.parsed == REPORT
    with client.chat.completions.stream(model=provider.model, messages=HI, response_format=Report) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == REPORT


REFUSALS = [
    ("400", openai.BadRequestError, 400),
    # The provider refused the gateway's key, not the client's.
    ("401", openai.InternalServerError, 502),
    ("404", openai.NotFoundError, 404),
    ("429", openai.RateLimitError, 429),
    ("500", openai.InternalServerError, 500),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("kind, error, status", REFUSALS)
def test_refusal(client, provider, kind, error, status, is_stream):
    with pytest.raises(error) as raised:
        client.chat.completions.create(model=provider.fault(kind), messages=HI, stream=is_stream)
    assert raised.value.status_code == status
    assert raised.value.type and raised.value.message
    assert raised.value.request_id
    if kind == "429":
        assert raised.value.response.headers["retry-after"] == "7"
    assert len(provider.received()) == 1


def test_error_in_stream(client, provider):
    text = ""
    with pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(model=provider.fault("stream"), messages=HI, stream=True):
            text += chunk.choices[0].delta.content or ""
    assert not isinstance(raised.value, openai.APIStatusError)
    assert "ran into a wall" in raised.value.message
    assert text and text != GREETING and GREETING.startswith(text)


def test_broken_stream(client, provider):
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=provider.fault("cut"), messages=HI, stream=True))


def test_cancel(client, provider):
    provider.forget()
    with client.chat.completions.create(model=provider.fault("stall"), messages=HI, stream=True) as stream:
        assert any(chunk.choices[0].delta.content for chunk in stream)
    provider.wait_until_dropped()


def test_wrong_key_and_unknown_model(provider):
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.chat.completions.create(model=provider.model, messages=HI)
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError) as raised:
            client.chat.completions.create(model=f"{provider.model}x", messages=HI)
    assert raised.value.code == "model_not_found"
    assert provider.model in raised.value.message
    assert not provider.received()


def test_models(client):
    listed = {model.id for model in client.models.list()}
    assert {f"{name}-up" for name in FORMATS} <= listed
    assert client.models.retrieve("claude-up").id == "claude-up"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")
