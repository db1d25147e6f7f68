"""The official Google GenAI SDK on every golden stream; JSON parsers on the same streams as arrays."""

import json
import urllib.error
import urllib.request

import ijson
import pytest
from google import genai
from google.genai import errors, types

from golden import BROKEN, GOLDEN
from provider import GATEWAY, KEY

CONTENTS = "What is the weather in Rome?"
CONFIG = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))


@pytest.fixture(scope="module")
def client():
    options = types.HttpOptions(base_url=GATEWAY, timeout=20_000)
    with genai.Client(api_key=KEY, http_options=options) as client:
        yield client


def folded(chunks):
    """The parts of a stream with neighboring pieces of text joined, and the members that its last chunks bring."""
    parts = []
    for chunk in chunks:
        for candidate in chunk.candidates or []:
            for part in (candidate.content and candidate.content.parts) or []:
                plain = part.model_dump(exclude_none=True)
                joins = parts and plain.keys() <= {"text", "thought", "thought_signature"}
                joins = joins and "text" in parts[-1] and parts[-1].get("thought") == plain.get("thought")
                if joins and not ("thought_signature" in parts[-1] and plain["text"]):
                    parts[-1] = {**parts[-1], **plain, "text": parts[-1]["text"] + plain["text"]}
                elif plain != {"text": ""}:
                    parts.append(plain)
    last = chunks[-1]
    [candidate] = last.candidates
    return {
        "parts": parts,
        "finish": candidate.finish_reason,
        "grounding": candidate.grounding_metadata,
        "usage": last.usage_metadata,
        "model": last.model_version,
    }


@pytest.mark.parametrize("model", GOLDEN)
def test_the_stream_brings_the_whole_answer(client, model):
    wish = {"model": model, "contents": CONTENTS, "config": CONFIG}
    whole = client.models.generate_content(**wish)
    assert folded(list(client.models.generate_content_stream(**wish))) == folded([whole])


def array(model):
    """The stream as Google's protocol has it without `alt=sse`."""
    body = {
        "contents": [{"role": "user", "parts": [{"text": CONTENTS}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
    }
    request = urllib.request.Request(
        f"{GATEWAY}/v1beta/models/{model}:streamGenerateContent",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "x-goog-api-key": KEY},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("application/json")
        return answer.read()


@pytest.mark.parametrize("model", GOLDEN)
def test_an_array_passes_a_strict_and_an_incremental_parser(client, model):
    body = array(model)
    chunks = json.loads(body)
    assert isinstance(chunks, list) and chunks

    seen = []
    found = ijson.sendable_list()
    parser = ijson.items_coro(found, "item", use_float=True)
    for at in range(0, len(body), 7):
        parser.send(body[at : at + 7])
        seen += found
        del found[:]
    parser.close()
    assert seen == chunks
    parsed = [types.GenerateContentResponse.model_validate(chunk) for chunk in chunks]
    wish = {"model": model, "contents": CONTENTS, "config": CONFIG}
    assert folded(parsed) == folded(list(client.models.generate_content_stream(**wish)))


@pytest.mark.parametrize("model", BROKEN)
def test_a_broken_stream_raises(client, model):
    with pytest.raises(errors.ServerError):
        list(client.models.generate_content_stream(model=model, contents=CONTENTS, config=CONFIG))


@pytest.mark.parametrize("model", BROKEN)
def test_a_broken_array_is_still_one(model):
    try:
        chunks = json.loads(array(model))
    except urllib.error.HTTPError as error:
        # Nothing of an answer had come.
        assert error.code >= 500 and json.load(error)["error"]["status"]
    else:
        assert list(chunks[-1]) == ["error"]
