"""Fixtures that all suites share."""

import pytest

from provider import FORMATS, Provider


@pytest.fixture(params=FORMATS)
def provider(request):
    """Each simulated provider in turn, seen from now on."""
    return Provider(request.param)
