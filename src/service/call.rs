//! What is known of one call from its headers to its trailers, and the one log line at its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::Span;

use super::error::{self, Kind};
use super::orca::{self, Cost, LoadMeter};
use super::received::{Lease, Message, Received};
use super::trace;
use crate::access::{Admitted, Meter, Permit};
use crate::pb::v1;
use crate::telemetry::metrics::CallEnded;
use crate::telemetry::{Metrics, Telemetry};

/// A call ends a fiftieth of its time before its deadline, within these bounds, so that its status is there in time,
/// over a network and from a busy machine. Afterwards nobody is told why: a client ends a call that is late by itself,
/// and a proxy that keeps deadlines too, as Istio's do, breaks off a stream that has begun, which clients take for
/// INTERNAL. Both count from before the request was on its way, so that way comes off too. The least are two ticks of
/// tokio's timer; the most hold a way around the earth beside a proxy that waits for its share of a processor, which
/// Linux gives out every 100 ms.
const DEADLINE_LEAD_MIN: Duration = Duration::from_millis(2);
const DEADLINE_LEAD_MAX: Duration = Duration::from_millis(500);

/// Longest `grpc-timeout` that is taken literally; beyond it a deadline is as good as none, and
/// adding it to the clock could overflow.
const TIMEOUT_MAX: Duration = Duration::from_hours(365 * 24);

/// One call. The envelope makes it, the handler finds it in the request's extensions.
#[derive(Debug)]
pub(super) struct Call {
    /// The RPC span; disabled for methods that are not traced.
    pub(super) span: Span,
    /// When the headers had arrived; the body may take seconds more.
    pub(super) received: Instant,
    pub(super) deadline: Option<Instant>,
    /// `package.Service/Method` of a method of ours; none for health, reflection and the unknown.
    method: Option<&'static str>,
    /// The batch call that this is a document of: no call of its own to whoever counts calls.
    batch: Option<Arc<Call>>,
    pub(super) metrics: Metrics,
    /// None where a handler is driven without the envelope.
    load: Option<Arc<LoadMeter>>,
    record: Mutex<Record>,
    /// What counts against quotas and memory; given back when the call ends.
    held: Mutex<Held>,
}

/// What a call holds until it ends.
#[derive(Debug, Default)]
struct Held {
    permit: Option<Permit>,
    /// Of documents that come in the call.
    meter: Option<Meter>,
    received: Option<Arc<Received>>,
    /// Of its request, without the files.
    request: Option<Lease>,
}

/// What a handler tells about its call, for the log line.
#[derive(Debug, Default, Clone)]
pub(super) struct Record {
    pub(super) request_id: Option<String>,
    /// Who calls, where that is known.
    caller: Option<String>,
    /// Where the request is, for whoever has to say where it was stopped.
    pub(super) phase: Option<&'static str>,
    pub(super) pages: Option<usize>,
    pub(super) input_tokens: Option<usize>,
    pub(super) output_tokens: Option<usize>,
    pub(super) finish_reason: Option<&'static str>,
    pub(super) timings: Option<crate::engine::Timings>,
    /// Set by whoever stops the call from outside, before its handler or stream is dropped.
    stopped: Option<Status>,
    finished: bool,
}

impl Call {
    pub(super) fn begin<B>(
        request: &http::Request<B>,
        now: Instant,
        telemetry: &Telemetry,
        load: Option<Arc<LoadMeter>>,
    ) -> Self {
        let method = trace::method(request.uri().path());
        let deadline = parse_timeout(request.headers()).map(|timeout| now + time_of(timeout));
        Self {
            span: method
                .filter(|_| !trace::is_untraced(request.headers(), telemetry.tracing()))
                .map_or_else(Span::none, |method| trace::rpc_span(method, request)),
            received: now,
            deadline,
            method,
            batch: None,
            metrics: telemetry.metrics().clone(),
            load,
            record: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// The call of `request`; a bare one where a handler is driven without the envelope.
    pub(super) fn of<T>(request: &tonic::Request<T>) -> Arc<Self> {
        request.extensions().get::<Arc<Self>>().cloned().unwrap_or_else(|| {
            Arc::new(Self {
                span: Span::none(),
                received: Instant::now(),
                deadline: None,
                method: None,
                batch: None,
                metrics: Metrics::default(),
                load: None,
                record: Mutex::default(),
                held: Mutex::default(),
            })
        })
    }

    /// The call may go on, under this name.
    pub(super) fn admitted(&self, admitted: Admitted, received: Option<Arc<Received>>) {
        let Admitted { caller, permit, meter } = admitted;
        self.lock().caller = caller;
        *self.held() = Held { permit, meter, received, request: None };
    }

    /// Whether the caller left before its message was whole.
    pub(super) fn ended_early(&self) -> bool {
        self.held().received.as_ref().is_some_and(|received| received.ended_early())
    }

    /// The account of the next message that its handler reads, where they are counted.
    pub(super) fn next_message(&self) -> Option<Message> {
        self.held().received.as_ref()?.next_message()
    }

    /// An account for what is fetched for it; a document's bytes count where its batch's do.
    pub(super) fn lease(&self) -> Option<Lease> {
        let own = self.held().received.as_ref().map(|received| received.lease());
        own.or_else(|| self.batch.as_ref()?.lease())
    }

    /// Holds what `request` takes in memory: the files as long as they are there, the rest until the call ends.
    pub(super) fn hold(&self, message: Option<Message>, request: &mut v1::ExtractRequest) {
        self.held().request = message.map(|message| message.follow(request));
    }

    /// Counts one more document of this call against its caller's quota, or says why not.
    pub(super) fn admit_document(&self) -> Result<Option<Permit>, Status> {
        let permit = self.held().meter.as_ref().map(|meter| meter.enter(Instant::now()));
        permit.transpose().map_err(|refusal| error::refused(&refusal))
    }

    /// The document counts, until it ends.
    pub(super) fn counts(&self, permit: Option<Permit>) {
        self.held().permit = permit;
    }

    /// A document of this call, with a span, a log line and an end of its own.
    pub(super) fn document(self: &Arc<Self>, request_id: &str) -> Self {
        let caller = self.lock().caller.clone();
        let record =
            Record { request_id: Some(request_id.to_owned()), caller, ..Record::default() };
        Self {
            span: trace::document_span(&self.span, request_id),
            received: Instant::now(),
            deadline: self.deadline,
            method: self.method,
            batch: Some(Arc::clone(self)),
            metrics: self.metrics.clone(),
            load: self.load.clone(),
            record: Mutex::new(record),
            held: Mutex::default(),
        }
    }

    /// Writes to the record.
    pub(super) fn note(&self, write: impl FnOnce(&mut Record)) {
        write(&mut self.lock());
    }

    /// The phase that was noted last; before the handler runs, the body is being received.
    pub(super) fn phase(&self) -> &'static str {
        self.lock().phase.unwrap_or("receive")
    }

    /// Why the call is being dropped: what stopped it, or that the client went away.
    pub(super) fn drop_code(&self) -> Code {
        self.stopped().map_or(Code::Cancelled, |status| status.code())
    }

    /// To be called before a handler or stream is dropped with `status`.
    pub(super) fn stopping(&self, status: &Status) {
        self.lock().stopped = Some(status.clone());
    }

    /// What stopped it, or the batch call that it is of.
    fn stopped(&self) -> Option<Status> {
        let own = self.lock().stopped.clone();
        own.or_else(|| self.batch.as_ref()?.stopped())
    }

    /// Ends the call by an end of its own, once: the span gets its status, the log its line, and a refusal counts.
    pub(super) fn finish(&self, status: &Status) {
        if self.end(status) {
            self.count_refusal(status);
        }
    }

    /// Counts what was not taken, by its reason.
    pub(super) fn count_refusal(&self, status: &Status) {
        if let Some(reason) = error::reason(status).filter(|reason| reason.kind() == Kind::Refusal)
        {
            self.metrics.rejected(reason.name());
        }
    }

    /// Whether it had not ended before.
    fn end(&self, status: &Status) -> bool {
        let record = {
            let mut record = self.lock();
            if std::mem::replace(&mut record.finished, true) {
                return false;
            }
            record.clone()
        };
        drop(std::mem::take(&mut *self.held()));
        trace::end_rpc_span(&self.span, status.code());
        if let Some(method) = self.method.filter(|_| self.batch.is_none()) {
            let (code, duration) = (trace::code_name(status.code()), self.received.elapsed());
            if let Some(load) = &self.load {
                load.call_ended(status.code());
            }
            let span = trace::span_context(&self.span);
            self.metrics.call_ended(&CallEnded { method, code, duration, span: Some(&span) });
        }
        self.log(status, &record);
        true
    }

    /// Adds what the call cost, and how busy the server is, to the end of an `Extract`.
    pub(super) fn report_load(&self, trailers: &mut http::HeaderMap) {
        let load = self.load.as_ref().filter(|_| self.method.is_some_and(trace::is_extract));
        let Some(load) = load else { return };
        let cost = {
            let record = self.lock();
            Cost { input_tokens: record.input_tokens, output_tokens: record.output_tokens }
        };
        if let Some(report) = load.trailer(cost) {
            trailers.insert(orca::TRAILER, report);
        }
    }

    /// Ends a call whose future or body was dropped before it was whole.
    pub(super) fn finish_dropped(&self) {
        let passed = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        // Whatever stopped it was counted where it came from: a document is not refused by what ended its call.
        self.end(&match self.stopped() {
            Some(status) => status,
            None if passed => {
                Status::deadline_exceeded("the deadline passed and the client was gone")
            }
            None => Status::cancelled("the client went away"),
        });
    }

    fn log(&self, status: &Status, record: &Record) {
        let Some(method) = self.method else { return };
        let reason = status.get_details_error_info().map(|info| info.reason);
        let message = Some(status.message()).filter(|message| !message.is_empty());
        let times = record.timings;
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        // One callsite per level: a level is fixed where it is written.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    parent: None,
                    method,
                    code = trace::code_name(status.code()),
                    reason,
                    error = message,
                    request_id = record.request_id.as_deref(),
                    caller = record.caller.as_deref(),
                    trace_id = trace::sampled_trace_id(&self.span),
                    phase = record.phase,
                    finish_reason = record.finish_reason,
                    pages = record.pages,
                    input_tokens = record.input_tokens,
                    output_tokens = record.output_tokens,
                    duration_ms = ms(self.received.elapsed()),
                    queue_ms = times.map(|t| ms(t.queue)),
                    preprocess_ms = times.map(|t| ms(t.preprocess)),
                    vision_ms = times.map(|t| ms(t.vision)),
                    prefill_ms = times.map(|t| ms(t.prefill)),
                    decode_ms = times.map(|t| ms(t.decode)),
                    time_to_first_token_ms = times.map(|t| ms(t.time_to_first_token)),
                    "call ended"
                )
            };
        }
        if matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss) {
            line!(error);
        } else {
            line!(info);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call has of `timeout`, after which its status has to be on its way.
fn time_of(timeout: Duration) -> Duration {
    timeout.saturating_sub((timeout / 50).clamp(DEADLINE_LEAD_MIN, DEADLINE_LEAD_MAX))
}

/// The client's `grpc-timeout`: at most eight digits and a unit. Anything else is no timeout, as
/// tonic has it.
fn parse_timeout(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    };
    (timeout <= TIMEOUT_MAX).then_some(timeout)
}

#[cfg(test)]
mod tests {
    use super::super::error::{Failure, Reason};
    use super::*;

    /// A call that ends by its own end counts where it was refused, once; one that is dropped never does.
    #[test]
    fn every_refusal_is_counted_and_nothing_else() {
        let request =
            http::Request::post("/tessera.v1.ExtractionService/Extract").body(()).unwrap();
        for reason in Reason::ALL {
            let telemetry = Telemetry::keeping_metrics();
            let begin = || Arc::new(Call::begin(&request, Instant::now(), &telemetry, None));
            let status = Failure::new(Code::Unavailable, *reason, "no").into_status();
            let call = begin();
            call.finish(&status);
            call.finish(&status);
            // It is stopped, as are documents by what ends their call.
            let batch = begin();
            let document = batch.document("a");
            batch.stopping(&status);
            document.finish_dropped();

            let counted = u32::from(reason.kind() == Kind::Refusal);
            let text = telemetry.metrics().prometheus();
            let of_reason =
                format!("tessera_rejections_total{{error_type=\"{}\"}} ", reason.name());
            let found = text.lines().find_map(|line| line.strip_prefix(of_reason.as_str()));
            assert_eq!(found.unwrap_or("0"), counted.to_string(), "{reason:?}");
            let others = text.lines().filter(|line| line.starts_with("tessera_rejections_total{"));
            let sum: u32 =
                others.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum();
            assert_eq!(sum, counted, "{reason:?}");
        }
    }

    fn timeout(text: &str) -> Option<Duration> {
        let mut headers = http::HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        parse_timeout(&headers)
    }

    #[test]
    fn reads_every_unit() {
        assert_eq!(timeout("2H"), Some(Duration::from_hours(2)));
        assert_eq!(timeout("3M"), Some(Duration::from_mins(3)));
        assert_eq!(timeout("10S"), Some(Duration::from_secs(10)));
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(timeout("7n"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn a_call_ends_a_moment_before_its_deadline() {
        let ms = Duration::from_millis;
        for (timeout, time) in
            [(1, 0), (10, 8), (100, 98), (400, 392), (2_000, 1_960), (25_000, 24_500)]
        {
            assert_eq!(time_of(ms(timeout)), ms(time), "{timeout} ms");
        }
        assert_eq!(time_of(Duration::from_mins(5)), ms(299_500));
    }

    #[test]
    fn nonsense_is_no_timeout() {
        for text in ["", "S", "12", "123456789S", "-1S", "1s", "1.5S", "99999999H", "S9"] {
            assert_eq!(timeout(text), None, "{text:?}");
        }
    }
}
