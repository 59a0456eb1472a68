//! Names and text, as those who scrape see them.

use std::collections::BTreeSet;

use expect_test::expect;
use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

use super::*;

fn kept(vllm_names: bool) -> Metrics {
    let resource = Resource::builder_empty().with_service_name("tessera").build();
    Metrics::kept(resource, None, vllm_names)
}

fn answered(metrics: &Metrics) {
    answered_in(metrics, None);
}

fn answered_in(metrics: &Metrics, span: Option<&SpanContext>) {
    let phases = [("queue", Duration::from_millis(5)), ("decode", Duration::from_millis(800))];
    metrics.request_ended(&RequestEnded {
        model: "fake-reader",
        duration: Duration::from_secs(1),
        span,
        outcome: Outcome::Answered(Answered {
            finish_reason: "stop",
            input_tokens: 300,
            image_tokens: 256,
            output_tokens: 5,
            time_to_first_token: Duration::from_millis(200),
            phases: &phases,
        }),
    });
}

fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

fn snapshot() -> Snapshot {
    Snapshot {
        model: "fake-reader".to_owned(),
        state: "ready",
        states: &["loading", "ready"],
        running: 2,
        waiting: 7,
        slots: 4,
        kv_utilization: 0.25,
        devices: vec![DeviceMemory {
            device: "cuda:0".to_owned(),
            total: 80,
            free: 60,
            weights: 16,
            kv_cache: 4,
        }],
        links: vec![LinkUse {
            from: "cuda:0".to_owned(),
            to: "cuda:1".to_owned(),
            route: "peer",
            bytes_per_second: 1.5,
        }],
        fallbacks: vec![Fallback {
            device: "cuda:0".to_owned(),
            requested: "bf16".to_owned(),
            used: "f16".to_owned(),
            modules: 3,
        }],
    }
}

#[test]
fn the_names_of_all_metrics() {
    let list = names::ALL.iter().map(|spec| {
        let kind = match spec.kind {
            names::Kind::Counter => "counter",
            names::Kind::Gauge => "gauge",
            names::Kind::Histogram => "histogram",
        };
        let family = prometheus::family(spec.name, spec.unit, kind);
        format!("{} {kind} {} -> {family}\n", spec.name, spec.unit)
    });
    expect![[r#"
        gen_ai.server.request.duration histogram s -> gen_ai_server_request_duration_seconds
        gen_ai.server.time_to_first_token histogram s -> gen_ai_server_time_to_first_token_seconds
        gen_ai.server.time_per_output_token histogram s -> gen_ai_server_time_per_output_token_seconds
        gen_ai.client.token.usage histogram {token} -> gen_ai_client_token_usage
        rpc.server.call.duration histogram s -> rpc_server_call_duration_seconds
        tessera.tokens counter {token} -> tessera_tokens_total
        tessera.answers counter {answer} -> tessera_answers_total
        tessera.rejections counter {request} -> tessera_rejections_total
        tessera.request.phase.duration histogram s -> tessera_request_phase_duration_seconds
        tessera.fetch.files counter {file} -> tessera_fetch_files_total
        tessera.fetch.size counter By -> tessera_fetch_size_bytes_total
        tessera.fetch.duration histogram s -> tessera_fetch_duration_seconds
        tessera.preprocess.pages counter {page} -> tessera_preprocess_pages_total
        tessera.preprocess.tiles counter {tile} -> tessera_preprocess_tiles_total
        tessera.preprocess.duration histogram s -> tessera_preprocess_duration_seconds
        tessera.engine.steps counter {step} -> tessera_engine_steps_total
        tessera.engine.step.duration histogram s -> tessera_engine_step_duration_seconds
        tessera.engine.batch_size histogram {request} -> tessera_engine_batch_size
        tessera.engine.tokens counter {token} -> tessera_engine_tokens_total
        tessera.engine.requests.running gauge {request} -> tessera_engine_requests_running
        tessera.engine.requests.waiting gauge {request} -> tessera_engine_requests_waiting
        tessera.engine.slots gauge {request} -> tessera_engine_slots
        tessera.engine.kv_cache.utilization gauge 1 -> tessera_engine_kv_cache_utilization_ratio
        tessera.engine.cancellations counter {request} -> tessera_engine_cancellations_total
        tessera.engine.cancel_to_free.duration histogram s -> tessera_engine_cancel_to_free_duration_seconds
        tessera.engine.preemptions counter {request} -> tessera_engine_preemptions_total
        tessera.engine.prefix_cache.queries counter {token} -> tessera_engine_prefix_cache_queries_total
        tessera.engine.prefix_cache.hits counter {token} -> tessera_engine_prefix_cache_hits_total
        tessera.engine.encoder_cache.queries counter {tile} -> tessera_engine_encoder_cache_queries_total
        tessera.engine.encoder_cache.hits counter {tile} -> tessera_engine_encoder_cache_hits_total
        tessera.engine.spoilt_answers counter {request} -> tessera_engine_spoilt_answers_total
        tessera.model.state gauge {state} -> tessera_model_state
        tessera.model.dtype_fallbacks gauge {module} -> tessera_model_dtype_fallbacks
        tessera.device.memory gauge By -> tessera_device_memory_bytes
        tessera.device.link.bandwidth gauge By/s -> tessera_device_link_bandwidth_bytes_per_second
        tessera.process.heap gauge By -> tessera_process_heap_bytes
        otel.sdk.processor.span.processed counter {span} -> otel_sdk_processor_span_processed_total
        otel.sdk.exporter.span.exported counter {span} -> otel_sdk_exporter_span_exported_total
        tessera.trace.steps_elided counter {step} -> tessera_trace_steps_elided_total
    "#]].assert_eq(&list.collect::<String>());
}

#[test]
fn every_name_is_recorded_once_and_described() {
    let names: BTreeSet<&str> = names::ALL.iter().map(|spec| spec.name).collect();
    assert_eq!(names.len(), names::ALL.len());
    for spec in names::ALL {
        assert_eq!(spec.buckets.is_empty(), spec.kind != names::Kind::Histogram, "{}", spec.name);
        assert!(spec.buckets.is_sorted(), "{}", spec.name);
        assert!(!spec.description.ends_with('.'), "{}", spec.name);
    }
}

#[test]
fn advised_buckets_are_all_kept() {
    let advised = [
        (names::TIME_TO_FIRST_TOKEN, &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25][..]),
        (names::TIME_PER_OUTPUT_TOKEN, &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4][..]),
        (names::REQUEST_DURATION, &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56][..]),
        (names::CALL_DURATION, &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75][..]),
    ];
    for (spec, bounds) in advised {
        for bound in bounds {
            assert!(spec.buckets.contains(bound), "{} lacks {bound}", spec.name);
        }
    }
}

#[test]
fn an_answer_as_prometheus_reads_it() {
    let metrics = kept(false);
    answered(&metrics);
    let text = metrics.prometheus();
    expect![[r#"
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.001"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.0025"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.005"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.01"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.025"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.05"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.075"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.1"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.15"} 0
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.2"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.3"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.4"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.5"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="0.75"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="1"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="2.5"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="5"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="10"} 1
        gen_ai_server_time_per_output_token_seconds_bucket{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",le="+Inf"} 1
        gen_ai_server_time_per_output_token_seconds_sum{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader"} 0.2
        gen_ai_server_time_per_output_token_seconds_count{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader"} 1"#]].assert_eq(&lines(&text, "gen_ai_server_time_per_output_token").join("\n"));
    expect![[r#"
        tessera_tokens_total{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",gen_ai_token_type="image"} 256
        tessera_tokens_total{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",gen_ai_token_type="input"} 300
        tessera_tokens_total{gen_ai_operation_name="generate_content",gen_ai_provider_name="tessera",gen_ai_request_model="fake-reader",gen_ai_token_type="output"} 5"#]].assert_eq(&lines(&text, "tessera_tokens").join("\n"));
    expect![[r#"target_info{service_name="tessera"} 1"#]]
        .assert_eq(&lines(&text, "target_info").join("\n"));
    assert!(!text.contains("vllm:"), "only where asked for");
}

#[test]
fn failures_have_a_type_and_no_first_token() {
    let metrics = kept(true);
    metrics.request_ended(&RequestEnded {
        model: "fake-reader",
        duration: Duration::from_millis(30),
        outcome: Outcome::Failed("GIBBERISH"),
        span: None,
    });
    let text = metrics.prometheus();
    let count = lines(&text, "gen_ai_server_request_duration_seconds_count");
    assert_eq!(count.len(), 1);
    assert!(count[0].contains("error_type=\"GIBBERISH\"") && count[0].ends_with(" 1"), "{count:?}");
    assert!(lines(&text, "gen_ai_server_time_to_first_token_seconds").is_empty());
}

#[test]
fn what_is_observed() {
    let metrics = kept(true);
    metrics.observe(Arc::new(snapshot));
    answered(&metrics);
    metrics.preempted();
    let text = metrics.prometheus();
    expect![[r#"
        tessera_engine_steps_total 0
        tessera_engine_cancellations_total 0
        tessera_engine_preemptions_total 1
        tessera_engine_prefix_cache_queries_total 0
        tessera_engine_prefix_cache_hits_total 0
        tessera_engine_encoder_cache_queries_total 0
        tessera_engine_encoder_cache_hits_total 0
        tessera_engine_spoilt_answers_total{error_type="GIBBERISH"} 0
        tessera_engine_spoilt_answers_total{error_type="NON_FINITE_LOGITS"} 0
        tessera_engine_spoilt_answers_total{error_type="REPETITION"} 0
        tessera_engine_requests_running 2
        tessera_engine_requests_waiting 7
        tessera_engine_slots 4
        tessera_engine_kv_cache_utilization_ratio 0.25"#]]
    .assert_eq(&lines(&text, "tessera_engine_").join("\n"));
    expect![[r#"
        tessera_device_memory_bytes{tessera_device="cuda:0",tessera_memory="free"} 60
        tessera_device_memory_bytes{tessera_device="cuda:0",tessera_memory="kv_cache"} 4
        tessera_device_memory_bytes{tessera_device="cuda:0",tessera_memory="total"} 80
        tessera_device_memory_bytes{tessera_device="cuda:0",tessera_memory="weights"} 16
        tessera_device_link_bandwidth_bytes_per_second{tessera_link_from="cuda:0",tessera_link_route="peer",tessera_link_to="cuda:1"} 1.5
        tessera_model_state{tessera_state="loading"} 0
        tessera_model_state{tessera_state="ready"} 1
        tessera_model_dtype_fallbacks{tessera_device="cuda:0",tessera_dtype_requested="bf16",tessera_dtype_used="f16"} 3"#]].assert_eq(
        &[lines(&text, "tessera_device_"), lines(&text, "tessera_model_")].concat().join("\n"),
    );
    let vllm: Vec<&str> =
        lines(&text, "vllm:").into_iter().filter(|line| !line.contains("_bucket")).collect();
    expect![[r#"
        vllm:num_requests_running{model_name="fake-reader"} 2
        vllm:num_requests_waiting{model_name="fake-reader"} 7
        vllm:kv_cache_usage_perc{model_name="fake-reader"} 0.25
        vllm:gpu_cache_usage_perc{model_name="fake-reader"} 0.25
        vllm:num_preemptions_total{model_name="fake-reader"} 1
        vllm:prefix_cache_queries_total{model_name="fake-reader"} 0
        vllm:prefix_cache_hits_total{model_name="fake-reader"} 0
        vllm:mm_cache_queries_total{model_name="fake-reader"} 0
        vllm:mm_cache_hits_total{model_name="fake-reader"} 0
        vllm:prompt_tokens_total{model_name="fake-reader"} 300
        vllm:generation_tokens_total{model_name="fake-reader"} 5
        vllm:request_success_total{model_name="fake-reader",finished_reason="stop"} 1
        vllm:time_to_first_token_seconds_sum{model_name="fake-reader"} 0.2
        vllm:time_to_first_token_seconds_count{model_name="fake-reader"} 1
        vllm:time_per_output_token_seconds_sum{model_name="fake-reader"} 0.2
        vllm:time_per_output_token_seconds_count{model_name="fake-reader"} 1
        vllm:e2e_request_latency_seconds_sum{model_name="fake-reader"} 1
        vllm:e2e_request_latency_seconds_count{model_name="fake-reader"} 1"#]]
    .assert_eq(&vllm.join("\n"));
}

#[test]
fn a_family_is_described_once_before_its_samples() {
    let metrics = kept(true);
    metrics.observe(Arc::new(snapshot));
    answered(&metrics);
    let mut seen = BTreeSet::new();
    let mut family = String::new();
    for line in metrics.prometheus().lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap_or_default().to_owned();
            assert!(seen.insert(family.clone()), "{family} twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&family), "{line} after the head of {family}");
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[test]
fn labels_are_escaped() {
    let metrics = kept(false);
    metrics.call_ended(&CallEnded {
        method: "a\"b\\c\nd",
        code: "OK",
        duration: Duration::from_millis(1),
        span: None,
    });
    assert!(metrics.prometheus().contains(r#"rpc_method="a\"b\\c\nd""#));
}

#[test]
fn the_default_one_forgets() {
    let metrics = Metrics::default();
    answered(&metrics);
    metrics.observe(Arc::new(snapshot));
    assert_eq!(metrics.prometheus(), "");
}

fn span(flags: TraceFlags) -> SpanContext {
    let (trace, span) = (TraceId::from(0xabc), SpanId::from(0xde));
    SpanContext::new(trace, span, flags, false, TraceState::default())
}

/// The lines of one family without buckets that nothing fell into, and without the time of an exemplar.
fn told(text: &str, family: &str) -> String {
    let wanted = |line: &&str| line.contains(family) && !line.ends_with(" 0");
    let timeless = |line: &str| match line.split_once(" # {") {
        Some((sample, seen)) => {
            let (seen, time) = seen.rsplit_once(' ').unwrap();
            assert!(time.parse::<f64>().unwrap() > 1e9, "{line}");
            format!("{sample} # {{{seen}")
        }
        None => line.to_owned(),
    };
    text.lines().filter(wanted).map(timeless).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_bucket_names_the_trace_that_fell_into_it() {
    let metrics = kept(true);
    answered_in(&metrics, Some(&span(TraceFlags::SAMPLED)));
    answered_in(&metrics, None);
    let text = metrics.exposition(Format::OpenMetrics);
    expect![[r##"
        # HELP tessera_request_phase_duration_seconds Where the time of whole answers went, by tessera.phase
        # TYPE tessera_request_phase_duration_seconds histogram
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="1.28"} 2 # {trace_id="00000000000000000000000000000abc",span_id="00000000000000de"} 0.8
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="2.56"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="5.12"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="10.24"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="20.48"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="40.96"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="81.92"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="163.84"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="327.68"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="655.36"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="1310.72"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="2621.44"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="decode",le="+Inf"} 2
        tessera_request_phase_duration_seconds_sum{tessera_phase="decode"} 1.6
        tessera_request_phase_duration_seconds_count{tessera_phase="decode"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="0.01"} 2 # {trace_id="00000000000000000000000000000abc",span_id="00000000000000de"} 0.005
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="0.02"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="0.04"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="0.08"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="0.16"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="0.32"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="0.64"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="1.28"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="2.56"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="5.12"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="10.24"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="20.48"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="40.96"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="81.92"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="163.84"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="327.68"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="655.36"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="1310.72"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="2621.44"} 2
        tessera_request_phase_duration_seconds_bucket{tessera_phase="queue",le="+Inf"} 2
        tessera_request_phase_duration_seconds_sum{tessera_phase="queue"} 0.01
        tessera_request_phase_duration_seconds_count{tessera_phase="queue"} 2"##]].assert_eq(&told(&text, "tessera_request_phase_duration"));
    for metric in ["gen_ai_server_request_duration", "gen_ai_server_time_to_first_token"] {
        let seen = text.lines().filter(|line| line.starts_with(metric) && line.contains(" # {"));
        assert_eq!(seen.count(), 1, "{metric}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    assert!(!metrics.prometheus().contains("trace_id"), "the older format has no place for it");
}

#[test]
fn who_is_not_recorded_is_no_exemplar() {
    let metrics = kept(false);
    answered_in(&metrics, Some(&span(TraceFlags::default())));
    answered_in(&metrics, Some(&SpanContext::NONE));
    assert!(!metrics.exposition(Format::OpenMetrics).contains("trace_id"));
}

#[test]
fn open_metrics_name_a_counter_without_its_ending() {
    let metrics = kept(false);
    metrics.preempted();
    let text = metrics.exposition(Format::OpenMetrics);
    assert!(text.contains("# TYPE tessera_engine_preemptions counter\n"), "{text}");
    assert!(text.contains("\ntessera_engine_preemptions_total 1\n"), "{text}");
    assert!(
        text.starts_with("# HELP target Which process this is\n# TYPE target info\n"),
        "{text}"
    );
}

#[test]
fn formats_go_to_whoever_asks_for_them() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                      text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    for (header, format) in [
        (prometheus, Format::OpenMetrics),
        ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
        ("text/plain, application/openmetrics-text; q=0.1", Format::Text),
        ("application/openmetrics-text; q=0", Format::Text),
        ("*/*", Format::Text),
        ("", Format::Text),
    ] {
        assert_eq!(Format::accepted(header), format, "{header}");
    }
}

/// To `increase` and `rate` a counter that appears with its first event has not grown.
#[test]
fn what_may_be_counted_is_there_before_it_happens() {
    let text = kept(false).prometheus();
    for line in [
        "tessera_engine_spoilt_answers_total{error_type=\"GIBBERISH\"} 0",
        "tessera_rejections_total{error_type=\"QUEUE_FULL\"} 0",
        "tessera_engine_preemptions_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}
