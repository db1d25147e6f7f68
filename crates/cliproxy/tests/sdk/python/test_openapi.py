"""The management interface describes itself in valid OpenAPI 3.1, with schemas that are valid themselves."""

import json
import urllib.request

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from provider import GATEWAY, KEY


@pytest.fixture(scope="module")
def document():
    request = urllib.request.Request(
        f"{GATEWAY}/v0/management/openapi.json", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_document(document):
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_a_broken_document_is_noticed(document):
    broken = json.loads(json.dumps(document))
    broken["paths"]["/v0/management/debug"]["get"]["responses"]["200"].pop("description")
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())
