//! ORCA load reports, by which clients and proxies weigh servers against one another: in the trailers of
//! each `Extract`, and streamed to whoever asks (gRFC A51).

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use prost::Message as _;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Binary, MetadataValue};
use tonic::{Code, Request, Response, Status};

use super::trace;
use crate::engine::Handle;
use crate::pb::xds::data::orca::v3::OrcaLoadReport;
use crate::pb::xds::service::orca::v3::OrcaLoadReportRequest;
use crate::pb::xds::service::orca::v3::open_rca_service_server::OpenRcaService;

/// Trailer with the report of one call, encoded.
pub(super) const TRAILER: &str = "endpoint-load-metrics-bin";

/// What gRPC's own servers allow.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(30);
/// Longer ones are as good as none, and added to the clock they could overflow.
const INTERVAL_MAX: Duration = Duration::from_hours(24);

/// Whole seconds over which rates are taken.
const WINDOW_SECONDS: usize = 10;

/// How busy the server is, and how many calls end.
#[derive(Debug)]
pub(super) struct LoadMeter {
    engine: Handle,
    started: Instant,
    window: Mutex<Window>,
}

/// Calls that ended in each of the last seconds.
#[derive(Debug, Default)]
struct Window {
    /// `[second % WINDOW_SECONDS]`: the second, calls, and those that failed.
    seconds: [(u64, u32, u32); WINDOW_SECONDS],
}

/// What one request cost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) input_tokens: Option<usize>,
    pub(super) output_tokens: Option<usize>,
}

// === impl Window ===

impl Window {
    fn count(&mut self, second: u64, failed: bool) {
        let slot = &mut self.seconds[(second % WINDOW_SECONDS as u64) as usize];
        if slot.0 != second {
            *slot = (second, 0, 0);
        }
        slot.1 += 1;
        slot.2 += u32::from(failed);
    }

    /// Calls and failures per second, over the whole seconds before `second`.
    fn rates(&self, second: u64) -> (f64, f64) {
        let seconds = second.min(WINDOW_SECONDS as u64 - 1);
        if seconds == 0 {
            // The first second is not over: what was counted in it is all there is to go by.
            let (_, calls, failed) = self.seconds[0];
            return (f64::from(calls), f64::from(failed));
        }
        let recent = self.seconds.iter().filter(|(at, ..)| *at < second && *at + seconds >= second);
        let (calls, failed) =
            recent.fold((0, 0), |(calls, failed), slot| (calls + slot.1, failed + slot.2));
        (f64::from(calls) / seconds as f64, f64::from(failed) / seconds as f64)
    }
}

// === impl LoadMeter ===

impl LoadMeter {
    pub(super) fn new(engine: Handle) -> Self {
        Self { engine, started: Instant::now(), window: Mutex::default() }
    }

    pub(super) fn call_ended(&self, code: Code) {
        let failed = trace::is_server_error(code);
        self.window().count(self.second(), failed);
    }

    fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The load now.
    pub(super) fn report(&self, cost: Cost) -> OrcaLoadReport {
        let (rps, eps) = self.window().rates(self.second());
        let status = self.engine.current();
        let load = status.load;
        let slots = status.spec.as_ref().map_or(0, |spec| spec.slots);
        let share = |requests: usize| if slots == 0 { 0.0 } else { requests as f64 / slots as f64 };
        let kv = load.kv_utilization.clamp(0.0, 1.0);
        let named = |pairs: &[(&str, f64)]| -> HashMap<String, f64> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
        };
        let mut request_cost = HashMap::new();
        for (name, tokens) in
            [("input_tokens", cost.input_tokens), ("output_tokens", cost.output_tokens)]
        {
            request_cost.extend(tokens.map(|tokens| (name.to_owned(), tokens as f64)));
        }
        OrcaLoadReport {
            mem_utilization: kv,
            request_cost,
            utilization: named(&[("kv_cache", kv), ("slots", share(load.running).min(1.0))]),
            rps_fractional: rps,
            eps,
            named_metrics: named(&[
                ("requests_running", load.running as f64),
                ("requests_waiting", load.queued as f64),
            ]),
            application_utilization: share(load.running + load.queued),
            ..OrcaLoadReport::default()
        }
    }

    /// The report as the trailer has it.
    pub(super) fn trailer(&self, cost: Cost) -> Option<HeaderValue> {
        let bytes = self.report(cost).encode_to_vec();
        let value = MetadataValue::<Binary>::from_bytes(&bytes);
        HeaderValue::from_bytes(value.as_encoded_bytes()).ok()
    }
}

/// Reports out of band.
#[derive(Debug)]
pub(super) struct OrcaService {
    pub(super) meter: Arc<LoadMeter>,
    pub(super) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl OpenRcaService for OrcaService {
    type StreamCoreMetricsStream =
        Pin<Box<dyn Stream<Item = Result<OrcaLoadReport, Status>> + Send>>;

    async fn stream_core_metrics(
        &self,
        request: Request<OrcaLoadReportRequest>,
    ) -> Result<Response<Self::StreamCoreMetricsStream>, Status> {
        let mut ticks = tokio::time::interval(interval(request.get_ref().report_interval));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let meter = Arc::clone(&self.meter);
        let reports =
            IntervalStream::new(ticks).map(move |_| Some(Ok(meter.report(Cost::default()))));
        // A stream without an end would hold up the drain.
        let ends = tokio_stream::once(()).then({
            let shutdown = self.shutdown.clone();
            move |()| {
                let shutdown = shutdown.clone();
                async move {
                    shutdown.cancelled().await;
                    None
                }
            }
        });
        let stream = reports.merge(ends).map_while(|report| report);
        Ok(Response::new(Box::pin(stream)))
    }
}

/// How often a client gets a report that asked for one so often.
fn interval(asked: Option<prost_types::Duration>) -> Duration {
    let asked = asked.and_then(|asked| Duration::try_from(asked).ok());
    asked.unwrap_or(INTERVAL_DEFAULT).clamp(INTERVAL_MIN, INTERVAL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_bounds() {
        let asked = |seconds| interval(Some(prost_types::Duration { seconds, nanos: 0 }));
        assert_eq!(interval(None), INTERVAL_DEFAULT);
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(0), INTERVAL_MIN);
        assert_eq!(asked(-5), INTERVAL_DEFAULT);
        assert_eq!(asked(i64::MAX), INTERVAL_MAX);
    }

    #[test]
    fn rates_are_of_whole_seconds() {
        let mut window = Window::default();
        for second in [0, 0, 1, 1, 1, 1] {
            window.count(second, second == 1);
        }
        assert_eq!(window.rates(2), (3.0, 2.0));
        assert_eq!(window.rates(1), (2.0, 0.0), "the running second does not count");
    }

    #[test]
    fn old_seconds_are_forgotten() {
        let mut window = Window::default();
        for second in 0..30 {
            window.count(second, false);
        }
        assert_eq!(window.rates(30), (1.0, 0.0));
        assert_eq!(window.rates(100), (0.0, 0.0));
    }

    #[test]
    fn the_first_second_is_better_than_nothing() {
        let mut window = Window::default();
        window.count(0, false);
        assert_eq!(window.rates(0), (1.0, 0.0));
    }
}
