"""The stream accumulator of the official OpenAI SDK, Chat Completions, on every golden stream."""

import openai
import pytest

from golden import BROKEN, GOLDEN, without
from provider import GATEWAY, KEY

MESSAGES = [{"role": "user", "content": "What is the weather in Rome?"}]


@pytest.fixture(scope="module")
def client():
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("model", GOLDEN)
def test_the_accumulated_answer_is_the_whole_one(client, model):
    whole = client.chat.completions.create(model=model, messages=MESSAGES)
    wish = {"model": model, "messages": MESSAGES, "stream_options": {"include_usage": True}}
    with client.chat.completions.stream(**wish) as stream:
        stream.until_done()
        # What the SDK would raise for an answer that was cut by its limit is no matter of the stream.
        streamed = stream.current_completion_snapshot
    # Only the stream has places in its lists, and only the helper parses. It passes over new members of a choice.
    ignored = ("created", "index", "parsed", "parsed_arguments", "grounding_metadata")
    streamed, whole = without(streamed.to_dict(), *ignored), without(whole.to_dict(), *ignored)
    # Each answer has an id of its own.
    assert streamed.pop("id").startswith("chatcmpl-") and whole.pop("id").startswith("chatcmpl-")
    assert streamed == whole


@pytest.mark.parametrize("model", BROKEN)
def test_a_broken_stream_raises(client, model):
    with pytest.raises(openai.APIError):
        with client.chat.completions.stream(model=model, messages=MESSAGES) as stream:
            stream.until_done()
