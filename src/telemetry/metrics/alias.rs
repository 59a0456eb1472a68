//! The same figures under the names that routers and autoscalers made for vLLM read.

use super::names::{self, Spec};

/// Another name for one of our metrics, or for a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alias {
    pub(super) name: &'static str,
    pub(super) of: &'static Spec,
    /// Only samples with this label, as Prometheus spells it.
    only: Option<(&'static str, &'static str)>,
    /// A label that stays, under another name.
    pub(super) keeps: Option<(&'static str, &'static str)>,
}

const fn alias(name: &'static str, of: &'static Spec) -> Alias {
    Alias { name, of, only: None, keeps: None }
}

const fn tokens(name: &'static str, kind: &'static str) -> Alias {
    let only = Some(("gen_ai_token_type", kind));
    Alias { only, ..alias(name, &names::TOKENS_PROCESSED) }
}

pub(super) const ALIASES: &[Alias] = &[
    alias("vllm:num_requests_running", &names::RUNNING),
    alias("vllm:num_requests_waiting", &names::WAITING),
    alias("vllm:kv_cache_usage_perc", &names::KV_UTILIZATION),
    alias("vllm:gpu_cache_usage_perc", &names::KV_UTILIZATION),
    alias("vllm:num_preemptions_total", &names::PREEMPTIONS),
    alias("vllm:prefix_cache_queries_total", &names::PREFIX_QUERIES),
    alias("vllm:prefix_cache_hits_total", &names::PREFIX_HITS),
    alias("vllm:mm_cache_queries_total", &names::ENCODER_QUERIES),
    alias("vllm:mm_cache_hits_total", &names::ENCODER_HITS),
    tokens("vllm:prompt_tokens_total", "input"),
    tokens("vllm:generation_tokens_total", "output"),
    Alias {
        keeps: Some(("gen_ai_response_finish_reason", "finished_reason")),
        ..alias("vllm:request_success_total", &names::ANSWERS)
    },
    alias("vllm:time_to_first_token_seconds", &names::TIME_TO_FIRST_TOKEN),
    alias("vllm:time_per_output_token_seconds", &names::TIME_PER_OUTPUT_TOKEN),
    alias("vllm:e2e_request_latency_seconds", &names::REQUEST_DURATION),
];

impl Alias {
    /// Whether a sample with `labels` counts. Failures do not: vLLM measures whole answers only.
    pub(super) fn takes(&self, labels: &[(String, String)]) -> bool {
        let has = |(key, value): (&str, &str)| labels.iter().any(|(k, v)| k == key && v == value);
        self.only.is_none_or(has) && !labels.iter().any(|(key, _)| key == "error_type")
    }
}
