"""Prometheus metrics. Labels are bounded: never an adapter's name (thousands), never a prompt."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from open_lora.engine_port import Engine, Lease

LOAD_BUCKETS = (0.25, 0.5, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30000)
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
RISING = {
    "failed_steps", "tokens", "finished", "cancelled", "preempted", "non_finite", "refused_queue_full", "refused_queue_timeout",
    "evictions", "prefix_hits", "prefix_hit_tokens", "busy_seconds", "model_cpu_seconds", "process_cpu_seconds",
    "vllm_preemptions", "vllm_prefix_hit_tokens",
}  # fmt: skip


class Metrics:
    def __init__(self, engine: Engine):
        self.registry = CollectorRegistry()
        self.replies = Counter("openlora_replies", "Replies by status and code", ["status", "code"], registry=self.registry)
        self.found = Counter("openlora_adapter_found", "Tier in which the adapter was", ["tier"], registry=self.registry)
        self.load = Histogram(
            "openlora_adapter_load_milliseconds", "Time until the adapter was on the device", ["tier"],
            buckets=LOAD_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.first = Histogram("openlora_first_token_seconds", "Time to first token", buckets=SECONDS, registry=self.registry)
        self.total = Histogram("openlora_request_seconds", "Time to the last token", buckets=SECONDS, registry=self.registry)
        self.prompt_tokens = Counter("openlora_prompt_tokens", "Prompt tokens", registry=self.registry)
        self.output_tokens = Counter("openlora_output_tokens", "Output tokens", registry=self.registry)
        self.registry.register(_EngineStats(engine))

    def leased(self, lease: Lease) -> None:
        self.found.labels(lease.found).inc()
        self.load.labels(lease.found).observe(lease.load_ms)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _EngineStats:
    def __init__(self, engine: Engine):
        self.engine = engine

    def collect(self):
        for name, value in self.engine.stats().items():
            kind = CounterMetricFamily if name in RISING else GaugeMetricFamily
            yield kind(f"openlora_engine_{name}", name.replace("_", " "), value=float(value))
