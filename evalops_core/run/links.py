"""Where in the Dagster UI a person finds what a message is about.

What belongs here: those addresses. What does not: where the UI itself is (settings).
"""

from urllib.parse import quote


def asset_link(ui_url: str, feature: str, partition_key: str | None, step: str = "eval_score") -> str:
    """The asset's page, at one window where it is given."""
    page = f"{ui_url}/assets/{quote(feature, safe='')}/{step}"
    return page if partition_key is None else f"{page}?view=partitions&partition={quote(partition_key, safe='')}"


def checks_link(ui_url: str, feature: str, step: str = "eval_score") -> str:
    """The page with the asset's checks."""
    return f"{ui_url}/assets/{quote(feature, safe='')}/{step}?view=checks"


def trend_link(ui_url: str, feature: str) -> str:
    """The page with the feature's trend."""
    return f"{ui_url}/assets/{quote(feature, safe='')}/trend"


def run_link(ui_url: str, dagster_run_id: str | None) -> str | None:
    """None for a run that Dagster did not make."""
    return None if dagster_run_id is None else f"{ui_url}/runs/{quote(dagster_run_id, safe='')}"
