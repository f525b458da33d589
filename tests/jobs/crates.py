"""Is a folder an RO-Crate? By the community's validator, without a network."""

from importlib.resources import files
from pathlib import Path

import pytest
import requests
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.services import validate
from rocrate_validator.utils.http import HttpRequester
from rocrate_validator.utils.uri import URI

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


def issues(folder: Path, profile: str, severity: str) -> list[str]:
    """What the validator holds against a crate at a profile's level: REQUIRED or RECOMMENDED."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpRequester, "get", _get, raising=False)
        level = getattr(Severity, severity)
        settings = ValidationSettings(
            URI(str(folder)), profile_identifier=profile, requirement_severity=level, no_cache=True
        )
        result = validate(settings)
    assert result.passed(level) == (not result.get_issues())
    return sorted(f"{issue.severity.name}: {issue.message}" for issue in result.get_issues())


def _get(self: HttpRequester, url: str, **options: object) -> requests.Response:
    """The context of RO-Crate in the rocrate package's copy, which is of a later edition and holds the same terms."""
    response = requests.Response()
    response.status_code = 200 if url == CONTEXT else 404
    response.headers["Content-Type"] = "application/ld+json"
    response.url = url
    content = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
    response._content = content if url == CONTEXT else b""
    return response
