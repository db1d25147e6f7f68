"""The official Google GenAI SDK over providers of every format."""

import json

import pytest
from google import genai
from google.genai import errors, types

from provider import (
    ANSWERS, CACHED, CHECKING, CITY, CITY_SCHEMA, COUNT, FORMATS, GATEWAY, GREETING, INPUT, KEY, OUTPUT, PDF, PNG,
    REPORT, RESULTS, THOUGHT, Report, got,
)

ASK = "What is the weather in Rome, and what time is it?"
BRIEF = types.GenerateContentConfig(system_instruction="Be brief.")
TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(
                name="get_weather", description="Weather", parameters_json_schema=CITY_SCHEMA
            ),
            types.FunctionDeclaration(name="get_time", description="Time"),
        ]
    )
]


def connect(key=KEY):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=GATEWAY, timeout=20_000))


@pytest.fixture(scope="module")
def client():
    with connect() as client:
        yield client


def user(*parts):
    return types.Content(role="user", parts=[types.Part(text=part) if isinstance(part, str) else part for part in parts])


def check_usage(usage, provider, is_thinking=False):
    thought = THOUGHT if is_thinking or provider.thinks_always else 0
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (INPUT, CACHED)
    assert (usage.candidates_token_count, usage.thoughts_token_count or 0) == (OUTPUT - thought, thought)
    assert usage.total_token_count == INPUT + OUTPUT


def asked(client, is_stream, **wish):
    """An answer; a stream's chunks joined, as the SDK's chats join them."""
    if not is_stream:
        return client.models.generate_content(**wish)
    chunks = list(client.models.generate_content_stream(**wish))
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or [] if chunk.candidates else [])]
    last = chunks[-1]
    last.candidates[0].content = types.Content(role="model", parts=parts)
    return last


def text_of(answer):
    return "".join(part.text for part in answer.candidates[0].content.parts if part.text and not part.thought)


def thoughts_of(answer):
    return "".join(part.text for part in answer.candidates[0].content.parts if part.text and part.thought)


def calls_of(answer):
    return [part.function_call for part in answer.candidates[0].content.parts if part.function_call]


def responses(calls):
    return user(
        *(
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"output": ANSWERS[call.name]}
                )
            )
            for call in calls
        )
    )


def test_text(client, provider):
    answer = client.models.generate_content(model=provider.model, contents="Hi", config=BRIEF)
    assert answer.text == GREETING
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.model_version == provider.model
    check_usage(answer.usage_metadata, provider)


def test_stream(client, provider):
    chunks = list(client.models.generate_content_stream(model=provider.model, contents="Hi", config=BRIEF))
    assert "".join(chunk.text or "" for chunk in chunks) == GREETING
    assert sum(bool(chunk.text) for chunk in chunks) > 1
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    check_usage(chunks[-1].usage_metadata, provider)


@pytest.mark.parametrize("is_stream", [False, True])
def test_two_rounds_of_parallel_tools(client, provider, is_stream):
    wish = {"model": provider.model, "config": types.GenerateContentConfig(tools=TOOLS)}
    contents = [user(ASK)]
    for round in (1, 2):
        answer = asked(client, is_stream, contents=contents, **wish)
        assert text_of(answer) == CHECKING
        weather, time = calls_of(answer)
        assert (weather.name, weather.args) == ("get_weather", CITY)
        assert (time.name, time.args) == ("get_time", {})
        contents += [answer.candidates[0].content, responses([weather, time])]
        answer = asked(client, is_stream, contents=contents, **wish)
        assert text_of(answer) == RESULTS
        calls, results = provider.pairs()
        assert calls == results and len(calls) == 2 * round
        contents += [answer.candidates[0].content, user("And now?")]


def test_functions_called_by_the_sdk(client, provider):
    def get_weather(city: str) -> str:
        """Weather of a city."""
        assert city == CITY["city"]
        return ANSWERS["get_weather"]

    def get_time() -> str:
        """Time of day."""
        return ANSWERS["get_time"]

    config = types.GenerateContentConfig(tools=[get_weather, get_time])
    assert client.models.generate_content(model=provider.model, contents=ASK, config=config).text == RESULTS


def test_chat_keeps_its_history(client, provider):
    chat = client.chats.create(model=provider.model, config=BRIEF)
    assert chat.send_message("Hi").text == GREETING
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream("Hi")) == GREETING
    # A stream leaves as many turns of the model as it had chunks.
    assert chat.send_message("Hi").text == GREETING
    assert json.dumps(provider.last(), ensure_ascii=False).count('"Hi"') == 3


@pytest.mark.parametrize("kind, data", [("image/png", PNG), ("application/pdf", PDF)], ids=["image", "pdf"])
def test_image_and_pdf(client, provider, kind, data):
    contents = user(types.Part.from_bytes(data=data, mime_type=kind), "See")
    answer = client.models.generate_content(model=provider.model, contents=contents)
    assert answer.text == got((kind, data))


@pytest.mark.parametrize("is_stream", [False, True])
def test_thinking_and_its_state(client, provider, is_stream):
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="MEDIUM")
    config = types.GenerateContentConfig(tools=TOOLS, thinking_config=thinking)
    wish = {"model": provider.model, "config": config}
    contents = [user(ASK)]
    for round in (1, 2):
        answer = asked(client, is_stream, contents=contents, **wish)
        assert thoughts_of(answer).startswith("Thought ")
        check_usage(answer.usage_metadata, provider, is_thinking=True)
        contents += [answer.candidates[0].content, responses(calls_of(answer))]
        answer = asked(client, is_stream, contents=contents, **wish)
        assert text_of(answer) == RESULTS
        if provider.signs:
            # The provider refuses a state that it did not issue, so what arrived is what it said.
            assert len(set(provider.states())) >= round
        contents += [answer.candidates[0].content, user("And now?")]


def test_state_survives_a_client_that_drops_the_thoughts(client, provider):
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_level="MEDIUM")
    config = types.GenerateContentConfig(tools=TOOLS, thinking_config=thinking)
    answer = client.models.generate_content(model=provider.model, contents=ASK, config=config)
    content = answer.candidates[0].content
    content.parts = [part for part in content.parts if not part.thought]
    contents = [user(ASK), content, responses(calls_of(answer))]
    answer = client.models.generate_content(model=provider.model, contents=contents, config=config)
    assert text_of(answer) == RESULTS
    assert bool(provider.states()) == provider.signs


def test_thoughts_are_not_shown_unasked(client, provider):
    answer = client.models.generate_content(model=provider.model, contents="Hi")
    assert not thoughts_of(answer)


def test_structured_output(client, provider):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Report)
    wish = {"model": provider.model, "contents": "Hi", "config": config}
    assert client.models.generate_content(**wish).parsed == REPORT
    text = "".join(chunk.text or "" for chunk in client.models.generate_content_stream(**wish))
    assert Report.model_validate_json(text) == REPORT


REFUSALS = [
    ("400", errors.ClientError, 400, "INVALID_ARGUMENT"),
    # The provider refused the gateway's key, not the client's.
    ("401", errors.ServerError, 502, "UNAVAILABLE"),
    ("404", errors.ClientError, 404, "NOT_FOUND"),
    ("429", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
    ("500", errors.ServerError, 500, "INTERNAL"),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("kind, error, code, status", REFUSALS)
def test_refusal(client, provider, kind, error, code, status, is_stream):
    wish = {"model": provider.fault(kind), "contents": "Hi"}
    with pytest.raises(error) as raised:
        if is_stream:
            list(client.models.generate_content_stream(**wish))
        else:
            client.models.generate_content(**wish)
    assert (raised.value.code, raised.value.status) == (code, status)
    if kind == "429":
        assert raised.value.response.headers["retry-after"] == "7"
    assert len(provider.received()) == 1


def test_error_in_stream(client, provider):
    text = ""
    with pytest.raises(errors.ServerError) as raised:
        for chunk in client.models.generate_content_stream(model=provider.fault("stream"), contents="Hi"):
            text += chunk.text or ""
    assert "ran into a wall" in str(raised.value)
    assert text and text != GREETING and GREETING.startswith(text)


def test_broken_stream(client, provider):
    with pytest.raises(errors.ServerError):
        list(client.models.generate_content_stream(model=provider.fault("cut"), contents="Hi"))


def test_cancel(client, provider):
    provider.forget()
    stream = client.models.generate_content_stream(model=provider.fault("stall"), contents="Hi")
    assert any(chunk.text for chunk in stream)
    stream.close()
    provider.wait_until_dropped()


def test_count(client, provider):
    count = client.models.count_tokens(model=provider.model, contents="Hi").total_tokens
    # Chat has no such endpoint: the gateway estimates.
    if provider.name == "chat":
        assert 0 < count < 100
    else:
        assert count == COUNT


def test_wrong_key_and_unknown_model(provider):
    with connect("wrong") as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=provider.model, contents="Hi")
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")
    with connect() as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=f"{provider.model}x", contents="Hi")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    assert provider.model in raised.value.message
    assert not provider.received()


def test_models(client):
    listed = {model.name: model for model in client.models.list()}
    assert {f"models/{name}-up" for name in FORMATS} <= set(listed)
    assert "generateContent" in listed["models/gemini-up"].supported_actions
    assert client.models.get(model="gemini-up").name == "models/gemini-up"
    with pytest.raises(errors.ClientError):
        client.models.get(model="nothing")
