"""Every request and every answer that the codecs make of the recorded exchanges, against the official SDKs' types."""

import json
import os
import pathlib
import re

import anthropic.types as claude
import anthropic.types.beta as claude_beta
import openai.types.chat as chat
import openai.types.responses as responses
import pydantic
import pytest
from anthropic.types import message_create_params as claude_request
from anthropic.types.beta import message_create_params as claude_beta_request
from google.genai import types as gemini
from openai.types.chat import completion_create_params as chat_request
from openai.types.responses import response_create_params as responses_request

from official import Checks

FOLDER = pathlib.Path(os.environ["WRITTEN"])


class GenerationConfig(gemini.GenerationConfig):
    """The SDK writes this member there without having it in the type."""

    image_config: gemini.ImageConfig | None = None


class GenerateContentRequest(pydantic.BaseModel):
    """The SDK has no type for the body that it sends; its parts it has."""

    contents: list[gemini.Content]
    system_instruction: gemini.Content | None = pydantic.Field(None, alias="systemInstruction")
    tools: list[gemini.Tool] | None = None
    tool_config: gemini.ToolConfig | None = pydantic.Field(None, alias="toolConfig")
    safety_settings: list[gemini.SafetySetting] | None = pydantic.Field(None, alias="safetySettings")
    generation_config: GenerationConfig | None = pydantic.Field(None, alias="generationConfig")
    cached_content: str | None = pydantic.Field(None, alias="cachedContent")
    service_tier: gemini.ServiceTier | None = pydantic.Field(None, alias="serviceTier")
    labels: dict[str, str] | None = None


# What is written, with the types that it may be of: plain ones before those that a beta adds members to.
TYPES = {
    "request-chat": [chat_request.CompletionCreateParams],
    "request-responses": [responses_request.ResponseCreateParams],
    "request-claude": [claude_request.MessageCreateParams, claude_beta_request.MessageCreateParams],
    "request-gemini": [GenerateContentRequest],
    "answer-chat": [chat.ChatCompletion],
    "answer-responses": [responses.Response],
    "answer-claude": [claude.Message, claude_beta.BetaMessage],
    "answer-gemini": [gemini.GenerateContentResponse],
    "stream-chat": [list[chat.ChatCompletionChunk]],
    "stream-responses": [list[responses.ResponseStreamEvent]],
    "stream-claude": [list[claude.RawMessageStreamEvent], list[claude_beta.BetaRawMessageStreamEvent]],
    "stream-gemini": [list[gemini.GenerateContentResponse]],
}

# Places where something else is meant than the types have: the end of a path, a piece of what would be told of it, and
# why. One that nothing needs any more is a failure.
GROUNDING = [
    ("grounding_metadata", "no such member", "what Google says of its sources, for clients that know it"),
    ("url_context_metadata", "no such member", "the same for pages that were read"),
]
THINKING = [
    ("reasoning_content", "no such member", "the member that clients of compatible services read"),
    ("reasoning_details", "no such member", "how state travels with a client's history"),
    ("tool_calls[].extra_content", "no such member", "where Google's own service puts a call's signature"),
    ("images", "no such member", "where compatible services put pictures"),
]
COUNTS = [("usageMetadata.serviceTier", "no such member", "the service writes it beside its counts")]
BYTES = "the service sends them in its events too"
NOT_STORED = "an item that was not stored has no id that the service knows"
MEANT = {
    "request-chat": [
        ("top_k", "no such member", "upstreams that are not OpenAI take it"),
        ("modalities[]", "'image' is not", "how image models of compatible upstreams are asked"),
    ],
    "request-responses": [
        ("input[].content[].type", "'output_text' is not", "what the assistant said, without being stored"),
        ("input[].content[].annotations", "no such member", "the same"),
        ("input[].content[].detail", "needs it", "the service has a default"),
        ("input[].content[].type", "'input_audio' is not", "models that listen take it"),
        ("input[].content[].input_audio", "no such member", "the same"),
        ("input[].id", "needs it", NOT_STORED),
        ("input[].status", "needs it", NOT_STORED),
        ("tools[].strict", "needs it", "left out where the client of the same format left it out"),
    ],
    "request-claude": [
        ("temperature", "no such member", "models before the newest take it"),
        ("top_p", "no such member", "the same"),
        ("top_k", "no such member", "the same"),
    ],
    "answer-chat": THINKING + GROUNDING,
    "answer-responses": [("store", "no such member", "the service writes it")] + GROUNDING,
    "answer-claude": GROUNDING,
    "answer-gemini": COUNTS,
    "stream-chat": [
        ("delta.annotations", "no such member", "the place that clients know from bodies"),
        ("tool_calls[].type", "'custom' is not", "the service streams these calls, which the types have in bodies only"),
        ("tool_calls[].custom", "no such member", "the same"),
        *THINKING,
        *GROUNDING,
    ],
    "stream-responses": [
        ("response.store", "no such member", "the service writes it"),
        ("name", "ResponseFunctionCallArgumentsDoneEvent has no such member", "older versions of the types have it"),
        ("logprobs[].bytes", "no such member", BYTES),
        ("top_logprobs[].bytes", "no such member", BYTES),
        *GROUNDING,
    ],
    "stream-gemini": COUNTS,
    "stream-claude": [("type", "'ping' is not", "a sign of life, which the SDKs drop before they parse"), *GROUNDING],
}


class Accepted:
    """What is accepted of a kind of value, and what of it was needed."""

    def __init__(self, meant):
        self.meant = meant
        self.needed = set()
        # Problems that the other side of the same format caused itself: its words are passed on.
        self.own = frozenset()

    def __call__(self, path, what):
        for entry in self.meant:
            place, piece, _ = entry
            if piece in what and path.endswith(f".{place}"):
                self.needed.add(entry)
                return True
        return (last(path), what) in self.own


def is_claudes_schema(of, path, what):
    """Whether it is a word of JSON Schema in a request whose tools Antigravity hands to Claude."""
    is_word = ".parameters" in path and path.endswith(".type") and "'TYPE_UNSPECIFIED'" in what
    return is_word and re.search(r" for antigravity (claude|gpt-oss)", of) is not None


def last(path):
    return path.rsplit(".", 1)[-1]


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_written_is_of_the_official_type(kind):
    meant = MEANT.get(kind, [])
    accepted = Accepted(meant)
    checks = Checks(accepted)
    wrong, count, claudes = {}, 0, 0
    with open(FOLDER / f"{kind}.jsonl", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            count += 1
            for path, what in problems(checks, accepted, kind, entry):
                if is_claudes_schema(entry["what"], path, what):
                    claudes += 1
                    continue
                wrong.setdefault((general(path), what), []).append(f"{entry['what']} at {path}")
    assert count > 1000, f"{count} values"
    assert bool(claudes) == (kind == "request-gemini")
    told = [f"{len(at):5} {path}: {what}\n      {', '.join(at[:3])}" for (path, what), at in wrong.items()]
    assert not told, f"{len(told)} problems in {count} values\n" + "\n".join(sorted(told, reverse=True))
    needless = [entry for entry in meant if entry not in accepted.needed]
    assert not needless, "nothing needs these exceptions any more"


def problems(checks, accepted, kind, entry):
    """The problems of the type that a value fits best."""
    body = entry["body"]
    if "request" in body:
        # The envelope of Code Assist is of no SDK.
        body = body["request"]
    best = None
    for type in TYPES[kind]:
        accepted.own = own(checks, accepted, kind, entry["source"])
        found = checks.problems(type, body)
        if not found:
            return []
        if best is None or len(found) < len(best):
            best = found
    return best


def own(checks, accepted, kind, source):
    if source is None:
        return frozenset()
    accepted.own = frozenset()
    if kind.startswith("request"):
        kinds, values = [kind], [source]
    else:
        # A body is told as a stream too, and a stream as a body.
        _, format = kind.split("-")
        kinds, values = [f"answer-{format}", f"stream-{format}"], source
    found = set()
    for kind in kinds:
        for type in TYPES[kind]:
            for value in values:
                told = checks.problems(type, [value] if kind.startswith("stream") else value)
                found.update((last(path), what) for path, what in told)
    return frozenset(found)


def general(path):
    return re.sub(r"\[\d+\]", "[]", path)
