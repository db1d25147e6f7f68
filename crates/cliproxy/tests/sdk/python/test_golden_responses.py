"""The stream helper of the official OpenAI SDK, Responses, on every golden stream."""

import openai
import pytest

from golden import BROKEN, GOLDEN, without
from provider import GATEWAY, KEY

WISH = {
    "input": "What is the weather in Rome?",
    "reasoning": {"effort": "medium", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
}


@pytest.fixture(scope="module")
def client():
    with openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("model", GOLDEN)
def test_the_final_response_is_the_whole_one(client, model):
    whole = client.responses.create(model=model, **WISH)
    with client.responses.stream(model=model, **WISH) as stream:
        events = list(stream)
        assert events[-1].type == f"response.{whole.status}"
        # The helper has a final response of completed ones alone.
        streamed = stream.get_final_response() if whole.status == "completed" else events[-1].response
    # Each answer has ids of its own.
    ignored = ("id", "created_at", "completed_at", "parsed", "parsed_arguments")
    assert without(streamed.to_dict(), *ignored) == without(whole.to_dict(), *ignored)
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})


@pytest.mark.parametrize("model", BROKEN)
def test_a_broken_stream_fails(client, model):
    try:
        with client.responses.stream(model=model, **WISH) as stream:
            events = list(stream)
    except openai.APIStatusError as error:
        # Nothing of an answer had come.
        assert error.status_code >= 500
    else:
        assert [event.type for event in events[-2:]] == ["error", "response.failed"]
