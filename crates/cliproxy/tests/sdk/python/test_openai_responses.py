"""The official OpenAI SDK, Responses, over providers of every format."""

import json

import openai
import pytest

from provider import (
    ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, COUNT, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF, PNG, REPORT,
    RESULTS, THOUGHT, Report, got, in_base64,
)

ASK = [{"role": "user", "content": "What is the weather in Rome, and what time is it?"}]
TOOLS = [
    {"type": "function", "name": "get_weather", "description": "Weather", "parameters": CITY_SCHEMA, "strict": True},
    {"type": "function", "name": "get_time", "description": "Time", "parameters": None, "strict": False},
]
THINKING = {"reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}


@pytest.fixture(scope="module")
def client():
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


def check_usage(usage, provider, is_thinking=False):
    thought = THOUGHT if is_thinking or provider.thinks_always else 0
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (INPUT, OUTPUT, INPUT + OUTPUT)
    assert usage.input_tokens_details.cached_tokens == CACHED
    assert usage.output_tokens_details.reasoning_tokens == thought


def streamed(client, **wish):
    """The accumulated answer of a stream, which equals the one that its last event brings."""
    with client.responses.stream(**wish) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})
    items = [event.item for event in events if event.type == "response.output_item.done"]
    assert [plain(item) for item in items] == [plain(item) for item in events[-1].response.output]
    return answer


def plain(item):
    """An item without what the helper adds to it."""
    exclude = {"parsed_arguments": True, "content": {"__all__": {"parsed"}}}
    return item.model_dump(exclude_none=True, exclude=exclude)


def asked(client, is_stream, **wish):
    return streamed(client, **wish) if is_stream else client.responses.create(**wish)


def of_type(answer, kind):
    return [item for item in answer.output if item.type == kind]


def returned(answer):
    """Output as it is sent back in the next request, and the results of its calls."""
    items = [plain(item) for item in answer.output]
    calls = of_type(answer, "function_call")
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": ANSWERS[call.name]} for call in calls]
    return [*items, *results]


def test_text(client, provider):
    answer = client.responses.create(model=provider.model, instructions="Be brief.", input="Hi")
    assert (answer.object, answer.status, answer.model) == ("response", "completed", provider.model)
    assert answer.output_text == GREETING
    check_usage(answer.usage, provider)


def test_stream(client, provider):
    pieces = []
    with client.responses.stream(model=provider.model, instructions="Be brief.", input="Hi") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
        answer = stream.get_final_response()
    assert len(pieces) > 1
    assert "".join(pieces) == answer.output_text == GREETING
    assert answer.status == "completed"
    check_usage(answer.usage, provider)


@pytest.mark.parametrize("is_stream", [False, True])
def test_two_rounds_of_parallel_tools(client, provider, is_stream):
    history = list(ASK)
    seen = set()
    for _round in range(2):
        wish = {"model": provider.model, "tools": TOOLS, "store": False}
        answer = asked(client, is_stream, input=history, **wish)
        weather, time = of_type(answer, "function_call")
        assert answer.output_text == CHECKING
        assert (weather.name, json.loads(weather.arguments)) == ("get_weather", CITY)
        assert (time.name, json.loads(time.arguments)) == ("get_time", {})
        ids = {weather.call_id, time.call_id}
        assert len(ids) == 2 and not ids & seen
        seen |= ids
        history += returned(answer)
        answer = asked(client, is_stream, input=history, **wish)
        assert answer.output_text == RESULTS
        calls, results = provider.pairs()
        assert calls == results and len(calls) == len(seen)
        history += [*returned(answer), {"role": "user", "content": "And now?"}]


def test_image(client, provider):
    url = f"data:image/png;base64,{in_base64(PNG)}"
    content = [{"type": "input_text", "text": "See"}, {"type": "input_image", "image_url": url, "detail": "low"}]
    answer = client.responses.create(model=provider.model, input=[{"role": "user", "content": content}])
    assert answer.output_text == got(("image/png", PNG))


def test_pdf(client, provider):
    file = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{in_base64(PDF)}"}
    content = [{"type": "input_text", "text": "Read"}, file]
    answer = client.responses.create(model=provider.model, input=[{"role": "user", "content": content}])
    assert answer.output_text == got(("application/pdf", PDF))


def test_image_in_a_result(client, provider):
    history = list(ASK)
    answer = client.responses.create(model=provider.model, input=history, tools=TOOLS, store=False)
    weather, time = returned(answer)[-2:]
    weather["output"] = [
        {"type": "input_text", "text": "18 C"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{in_base64(PNG)}", "detail": "auto"},
    ]
    history += [*returned(answer)[:-2], weather, time]
    client.responses.create(model=provider.model, input=history, tools=TOOLS, store=False)
    assert in_base64(PNG) in json.dumps(provider.last())
    calls, results = provider.pairs()
    assert calls == results


@pytest.mark.parametrize("is_stream", [False, True])
def test_thinking_and_its_state(client, provider, is_stream):
    wish = {"model": provider.model, "tools": TOOLS, "store": False, **THINKING}
    history = list(ASK)
    for turn in (1, 2):
        answer = asked(client, is_stream, input=history, **wish)
        thoughts = of_type(answer, "reasoning")
        assert "".join(part.text for thought in thoughts for part in thought.summary).startswith("Thought ")
        assert any(thought.encrypted_content for thought in thoughts) == provider.signs
        check_usage(answer.usage, provider, is_thinking=True)
        history += returned(answer)
        answer = asked(client, is_stream, input=history, **wish)
        assert answer.output_text == RESULTS
        if provider.signs:
            # The provider refuses a state that it did not issue, so what arrived is what it said.
            assert len(set(provider.states())) >= turn
        history += [*returned(answer), {"role": "user", "content": "And now?"}]


def test_thoughts_are_not_shown_unasked(client, provider):
    answer = client.responses.create(model=provider.model, input=ASK, reasoning={"effort": "medium"}, store=False)
    assert "Thought" not in json.dumps([item.to_dict() for item in answer.output])


def test_structured_output(client, provider):
    answer = client.responses.parse(model=provider.model, input="Hi", text_format=Report)
    assert answer.output_parsed == REPORT
    with client.responses.stream(model=provider.model, input="Hi", text_format=Report) as stream:
        assert stream.get_final_response().output_parsed == REPORT


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
        client.responses.create(model=provider.fault(kind), input="Hi", stream=is_stream)
    assert raised.value.status_code == status
    assert raised.value.type and raised.value.message
    assert raised.value.request_id
    if kind == "429":
        assert raised.value.response.headers["retry-after"] == "7"
    assert len(provider.received()) == 1


def test_error_in_stream(client, provider):
    events = list(client.responses.create(model=provider.fault("stream"), input="Hi", stream=True))
    assert any(event.type == "response.output_text.delta" for event in events)
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert "ran into a wall" in events[-2].message
    assert events[-1].response.status == "failed"
    assert "ran into a wall" in events[-1].response.error.message


def test_the_stream_helper_raises_for_an_error_in_the_stream(client, provider):
    with client.responses.stream(model=provider.fault("stream"), input="Hi") as stream:
        with pytest.raises(RuntimeError, match="response.completed"):
            stream.get_final_response()


def test_broken_stream(client, provider):
    events = list(client.responses.create(model=provider.fault("cut"), input="Hi", stream=True))
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert "response.completed" not in [event.type for event in events]


def test_cancel(client, provider):
    provider.forget()
    with client.responses.create(model=provider.fault("stall"), input="Hi", stream=True) as stream:
        assert any(event.type == "response.output_text.delta" for event in stream)
    provider.wait_until_dropped()


def test_count(client, provider):
    count = client.responses.input_tokens.count(model=provider.model, input="Hi", tools=TOOLS)
    assert count.object == "response.input_tokens"
    # Chat has no such endpoint: the gateway estimates.
    if provider.name == "chat":
        assert 0 < count.input_tokens < 200
    else:
        assert count.input_tokens == COUNT


def test_wrong_key_and_unknown_model(provider):
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            client.responses.create(model=provider.model, input="Hi")
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError) as raised:
            client.responses.create(model=f"{provider.model}x", input="Hi")
    assert raised.value.code == "model_not_found"
    assert not provider.received()
