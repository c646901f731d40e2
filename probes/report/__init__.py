"""One self-contained page that says what each stage knows, uses and keeps."""

from probes.report.glance import GlanceRow, glance
from probes.report.page import write_report

__all__ = ["GlanceRow", "glance", "write_report"]
