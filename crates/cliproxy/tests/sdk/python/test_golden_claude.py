"""The accumulator of the official Anthropic SDK on every golden stream."""

import anthropic
import pytest

from golden import BROKEN, GOLDEN, without
from provider import GATEWAY, KEY

WISH = {
    "max_tokens": 4096,
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
}


@pytest.fixture(scope="module")
def client():
    with anthropic.Anthropic(base_url=GATEWAY, auth_token=KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("model", GOLDEN)
def test_the_accumulated_message_is_the_whole_one(client, model):
    whole = client.messages.create(model=model, **WISH)
    with client.messages.stream(model=model, **WISH) as stream:
        streamed = stream.get_final_message()
    # The accumulator passes over a member of the frame that ends the message.
    ignored = ("parsed_output", "grounding_metadata")
    streamed, whole = without(streamed.to_dict(), *ignored), without(whole.to_dict(), *ignored)
    # Each answer has an id of its own.
    assert streamed.pop("id").startswith("msg_") and whole.pop("id").startswith("msg_")
    assert streamed == whole


@pytest.mark.parametrize("model", BROKEN)
def test_a_broken_stream_raises(client, model):
    with pytest.raises(anthropic.APIStatusError) as raised:
        with client.messages.stream(model=model, **WISH) as stream:
            stream.until_done()
    assert raised.value.body["error"]["type"]
