"""The job for Kubernetes is one that its client reads, key by key; no cluster was at hand."""

import json
from pathlib import Path

import yaml
from kubernetes.client import ApiClient, V1Job

PATH = Path(__file__).resolve().parents[1] / "docs/kubernetes.yaml"


class Answer:
    """What the client reads its objects from."""

    def __init__(self, content):
        self.data = json.dumps(content)


def test_the_client_reads_all_of_it():
    written = yaml.safe_load(PATH.read_text())
    client = ApiClient()
    job = client.deserialize(Answer(written), V1Job)
    assert client.sanitize_for_serialization(job) == written  # a misspelt key would be lost
    assert job.spec.template.spec.containers[0].resources.limits["nvidia.com/gpu"] == "1"
