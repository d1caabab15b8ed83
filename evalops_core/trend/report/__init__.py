"""The report: one HTML file with everything about all features, to be mailed or kept beside a build."""

from evalops_core.trend.report.collect import Sources, collect, known_features
from evalops_core.trend.report.facts import Report
from evalops_core.trend.report.page import page

__all__ = ["Report", "Sources", "collect", "known_features", "page"]
