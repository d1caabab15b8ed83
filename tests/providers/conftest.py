"""The mock endpoint for every test of this folder."""

from tests.mock_fixture import mock_openai, mock_process

__all__ = ["mock_openai", "mock_process"]
