"""What is not needed is not loaded."""

import subprocess
import sys

import pytest


def test_no_cloud_is_loaded_and_whoever_wants_one_has_it():
    pytest.importorskip("boto3")
    program = """
import sys
import edgewright.trust.updates
assert not [name for name in sys.modules if name.split(".")[0] in ("boto3", "botocore")]
import boto3
assert boto3.client
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
