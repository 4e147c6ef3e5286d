"""What the roles of a machine count and time, for Prometheus.

``store`` keeps the figures of all processes in one folder, so that the API's ``/metrics`` shows
every role of its machine; ``meters`` are the instruments; ``measured_log`` times a log's writes.
The one place where prometheus_client is imported.
"""
