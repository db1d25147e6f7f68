"""Signs of life before an answer and inside it do not disturb the official parsers."""

import anthropic
import openai
from google import genai
from google.genai import types

from provider import GATEWAY, KEY

TEXT = "one two"


def test_openai_chat():
    client = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0)
    messages = [{"role": "user", "content": "hi"}]
    stream = client.chat.completions.create(model="slow", messages=messages, stream=True)
    chunks = [chunk for chunk in stream if chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"
    whole = client.chat.completions.create(model="slow", messages=messages)
    assert whole.choices[0].message.content == TEXT


def test_openai_responses():
    client = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0)
    with client.responses.stream(model="slow", input="hi") as stream:
        events = list(stream)
        assert events[0].type == "response.created" and events[-1].type == "response.completed"
        assert stream.get_final_response().output_text == TEXT
    assert client.responses.create(model="slow", input="hi").output_text == TEXT


def test_anthropic():
    client = anthropic.Anthropic(base_url=GATEWAY, api_key=KEY, max_retries=0)
    ask = {"model": "slow", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
    with client.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == TEXT
        assert stream.get_final_message().stop_reason == "end_turn"
    assert client.messages.create(**ask).content[0].text == TEXT


def test_google():
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=GATEWAY))
    chunks = list(client.models.generate_content_stream(model="slow", contents="hi"))
    assert "".join(chunk.text or "" for chunk in chunks) == TEXT
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert client.models.generate_content(model="slow", contents="hi").text == TEXT
