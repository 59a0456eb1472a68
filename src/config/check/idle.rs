//! Options that were given and have no effect, because another one is missing. Each is a warning with its remedy:
//! whoever gave it takes it for done.

use super::super::checked::{ModelConfig, ServerConfig};
use super::super::low::Low;
use super::super::options::Key;
use crate::device::{CUDA_COMPILED, DeviceRequest, DeviceSelection};
use crate::engine::GuardConfig;
use crate::telemetry;

/// Options that need another one.
struct Need {
    keys: &'static [Key],
    is_met: bool,
    remedy: &'static str,
}

/// One warning for each option that was given a value of its own and changes nothing.
pub(super) fn warnings(
    low: &Low,
    model: &ModelConfig,
    guard: &GuardConfig,
    server: &ServerConfig,
    telemetry: &telemetry::Config,
) -> Vec<String> {
    let tls = server.transport.tls.as_ref();
    let otlp = telemetry.otlp.as_ref();
    let traced =
        telemetry.trace.directory.is_some() || otlp.is_some_and(|otlp| otlp.signals.traces);
    let needs = [
        Need {
            keys: &[Key::TlsClientAuth],
            is_met: tls.is_some_and(|tls| tls.clients.is_some()),
            remedy: "clients are asked for no certificate without --tls-client-ca: give it",
        },
        Need {
            keys: &[Key::OtlpProtocol, Key::OtlpSignals],
            is_met: otlp.is_some(),
            remedy: "nothing is sent without --otlp-endpoint: give it",
        },
        Need {
            keys: &[
                Key::TraceSampleRatio,
                Key::TraceLevel,
                Key::TraceLevelMax,
                Key::TraceSteps,
                Key::TraceContent,
                Key::TraceVllmNames,
            ],
            is_met: traced,
            remedy: "traces go nowhere: give --trace-dir, or --otlp-endpoint with traces among --otlp-signals",
        },
        Need {
            keys: &[Key::FetchNetworks, Key::FetchCa, Key::FetchTimeout, Key::FetchAtOnce],
            is_met: server.fetch.is_some(),
            remedy: "nothing is fetched without --fetch-from: give it",
        },
        Need {
            keys: &[Key::MetricsVllmNames],
            is_met: server.admin_listen.is_some() || !telemetry.vllm_names,
            remedy: "metrics are shown nowhere without --admin-listen: give it",
        },
        Need {
            keys: &[Key::GuardBangRatio, Key::GuardRepeat, Key::GuardUnsure],
            is_met: guard.on,
            remedy: "answers are not looked at with --guard off: turn it on",
        },
        Need {
            keys: &[Key::Embedding],
            is_met: may_have_gpu(&model.devices),
            remedy: "the only memory is the host's without a GPU: name one in --devices",
        },
    ];
    let mut warnings = Vec::new();
    for need in needs.iter().filter(|need| !need.is_met) {
        for key in need.keys {
            let Some(given) = low.given.get(key) else { continue };
            // The default says nothing; but who asks for certificates by name counts on them.
            if *key == Key::TlsClientAuth || given.text.trim() != key.spec().default {
                warnings.push(format!(
                    "{}: has no effect; {}, or leave it out",
                    given.source, need.remedy
                ));
            }
        }
    }
    warnings
}

fn may_have_gpu(devices: &DeviceSelection) -> bool {
    match devices {
        DeviceSelection::Auto => CUDA_COMPILED,
        DeviceSelection::Listed(listed) => {
            listed.iter().any(|device| matches!(device, DeviceRequest::Cuda(_)))
        }
    }
}
