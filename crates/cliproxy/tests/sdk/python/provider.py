"""The simulated providers behind the gateway: their models, what they say, and what arrived at them."""

import base64
import hashlib
import json
import os
import urllib.request

import pydantic

GATEWAY = os.environ["GATEWAY"]
# Amp refuses whole answers of other models than Claude that have thoughts beside calls.
FOR_AMP = "/api/provider/" in GATEWAY
KEY = os.environ["GATEWAY_KEY"]
WINDOW = os.environ.get("WINDOW")
FORMATS = ["chat", "responses", "claude", "gemini"]

INPUT, CACHED, OUTPUT, THOUGHT, COUNT = 52, 20, 41, 12, 17
GREETING = "You said: Hi 🌤"
CHECKING = "Checking Röme 🌤."
RESULTS = "Röme 🌤 get_weather: 18 C; get_time: noon"
CITY = {"city": "Röme"}
CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of the city"}},
    "required": ["city"],
    "additionalProperties": False,
}
ANSWERS = {"get_weather": "18 C", "get_time": "noon"}

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"


class Place(pydantic.BaseModel):
    """A part of an answer with a schema."""

    name: str
    altitude: int


class Report(pydantic.BaseModel):
    """An answer with a schema."""

    city: str
    degrees: float
    is_sunny: bool
    places: list[Place]


REPORT = Report(city="Röme", degrees=18.5, is_sunny=True, places=[Place(name="Röme", altitude=18)])


def in_base64(data):
    return base64.b64encode(data).decode()


def got(*media):
    """What a provider says when it got these files, each a kind and its bytes."""
    said = [f"{kind} {len(data)} {hashlib.sha256(data).hexdigest()}" for kind, data in media]
    return " ".join(["I got", *said])


class Provider:
    """One simulated provider. It lists what arrived since the object was made."""

    def __init__(self, name):
        self.name = name
        self.model = f"{name}-up"
        self.seen = len(self._all())

    def fault(self, kind):
        return f"{self.name}-fault-{kind}"

    def _call(self, method, what):
        request = urllib.request.Request(f"{WINDOW}/{self.name}/{what}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()

    def _all(self):
        return json.loads(self._call("GET", "received"))

    def received(self):
        return self._all()[self.seen :]

    def last(self):
        """The body of the last request."""
        return self.received()[-1]["body"]

    def forget(self):
        self._call("POST", "forget")

    def wait_until_dropped(self):
        """Returns when the gateway lets go of an answer before its end."""
        self._call("GET", "dropped")

    @property
    def thinks_always(self):
        return self.name == "gemini"

    @property
    def signs(self):
        """Whether it issues state that must come back."""
        return self.name != "chat"

    def states(self):
        """The opaque state in the last request, in order. The provider refuses what it did not issue."""
        body = self.last()
        if self.name == "claude":
            blocks = [block for message in body["messages"] for block in _blocks(message)]
            return [block["signature"] for block in blocks if block["type"] == "thinking"]
        if self.name == "responses":
            return [item["encrypted_content"] for item in body["input"] if item.get("type") == "reasoning"]
        if self.name == "gemini":
            parts = [part for content in body["contents"] for part in content["parts"]]
            states = [part.get("thoughtSignature") or part.get("thought_signature") for part in parts]
            return [state for state in states if state]
        return []

    def pairs(self):
        """Ids of calls and of results in the last request; names with Gemini, which has no ids of its own."""
        body = self.last()
        if self.name == "chat":
            calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or []]
            results = [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]
        elif self.name == "responses":
            of = lambda kind: [item["call_id"] for item in body["input"] if item.get("type") == kind]
            calls, results = of("function_call"), of("function_call_output")
        elif self.name == "claude":
            blocks = [block for message in body["messages"] for block in _blocks(message)]
            calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
            results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        else:
            parts = [part for content in body["contents"] for part in content["parts"]]
            of = lambda one, two: [(part.get(one) or part.get(two))["name"] for part in parts if one in part or two in part]
            calls = of("functionCall", "function_call")
            results = of("functionResponse", "function_response")
        return calls, results


def _blocks(message):
    return message["content"] if isinstance(message["content"], list) else []
