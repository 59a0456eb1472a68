//! The `BatchExtract` call: many documents over one stream, each with its own id and its own outcome.
//!
//! The stream is always read. A document beyond the most in flight, or beyond its caller's quota, is refused
//! at once and alone, so that a cancellation never waits behind documents; only a client that does not read
//! its answers either is made to wait, when as many refusals as documents wait for it.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use tonic_types::{FieldViolation, StatusExt as _};

use super::State;
use super::call::Call;
use super::error::{self, Failure, Reason};
use super::extract;
use super::received::Message as Account;
use crate::access::Permit;
use crate::limits;
use crate::pb::v1;
use crate::pb::v1::batch_extract_request::Message;
use crate::pb::v1::batch_extract_response::Outcome;
use crate::pb::v1::extract_response::Event;
use crate::telemetry::spans::TraceOptions;

/// Messages of all documents that wait for the client. Each document has a queue of its own behind it.
const MESSAGES_BUFFERED: usize = 16;

/// The response stream. Dropping it ends every document.
#[derive(Debug)]
pub(super) struct BatchAnswer {
    messages: mpsc::Receiver<v1::BatchExtractResponse>,
    /// Gives the call's status, once all messages are out.
    driver: Option<JoinHandle<Result<(), Status>>>,
}

/// All that one call does.
struct Batch {
    state: Arc<State>,
    call: Arc<Call>,
    /// Of every document.
    traced: Option<TraceOptions>,
    out: mpsc::Sender<v1::BatchExtractResponse>,
    in_flight: InFlight,
    documents: JoinSet<()>,
    /// The document of each task.
    ids: HashMap<Id, String>,
    /// Refusals that wait for the client.
    refusals: VecDeque<v1::BatchExtractResponse>,
}

/// Documents without an outcome: how to stop each. A document is out of it before its outcome is sent, so that
/// whoever has the outcome may use its name again.
#[derive(Debug, Clone, Default)]
struct InFlight(Arc<Mutex<HashMap<String, CancellationToken>>>);

/// Begins to read documents off `request`.
pub(super) fn batch(
    state: Arc<State>,
    request: Request<Streaming<v1::BatchExtractRequest>>,
) -> Result<Response<BatchAnswer>, Status> {
    let call = Call::of(&request);
    let traced = extract::traced(&state, request.metadata())?;
    call.note(|record| record.phase = Some("batch"));
    let (out, messages) = mpsc::channel(MESSAGES_BUFFERED);
    let batch = Batch {
        state,
        call,
        traced,
        out,
        in_flight: InFlight::default(),
        documents: JoinSet::new(),
        ids: HashMap::new(),
        refusals: VecDeque::new(),
    };
    let driver = tokio::spawn(batch.run(request.into_inner()));
    Ok(Response::new(BatchAnswer { messages, driver: Some(driver) }))
}

// === impl BatchAnswer ===

impl Stream for BatchAnswer {
    type Item = Result<v1::BatchExtractResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(message) = ready!(self.messages.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(message)));
        }
        let Some(driver) = &mut self.driver else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(driver).poll(cx));
        self.driver = None;
        Poll::Ready(match ended {
            Ok(Ok(())) => None,
            Ok(Err(status)) => Some(Err(status)),
            // Documents without an outcome must not look like a call that went well.
            Err(_) => Some(Err(error::panicked())),
        })
    }
}

impl Drop for BatchAnswer {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}

// === impl InFlight ===

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, id: &str) {
        self.lock().remove(id);
    }
}

// === impl Batch ===

impl Batch {
    /// Reads until the client has said all, and goes on until every document has its outcome.
    async fn run(mut self, mut requests: Streaming<v1::BatchExtractRequest>) -> Result<(), Status> {
        let refusals_max = self.state.config.batch_in_flight_max;
        let out = self.out.clone();
        let mut reading = true;
        loop {
            if !reading && self.documents.is_empty() && self.refusals.is_empty() {
                // Documents see the deadline pass a moment before the call does: it ended them, not the batch.
                let passed = self.call.deadline.is_some_and(|deadline| deadline <= Instant::now());
                return if passed { Err(error::deadline(self.call.phase())) } else { Ok(()) };
            }
            tokio::select! {
                Some(ended) = self.documents.join_next_with_id() => self.ended(ended),
                permit = out.reserve(), if !self.refusals.is_empty() => {
                    let Ok(permit) = permit else { return Ok(()) };
                    if let Some(refusal) = self.refusals.pop_front() {
                        permit.send(refusal);
                    }
                }
                request = requests.message(), if reading && self.refusals.len() < refusals_max => {
                    // Whatever ends the call ends its documents.
                    let taken = request.map_err(error::explained).and_then(|request| match request {
                        Some(request) => self.take(request).map(|()| true),
                        None => Ok(false),
                    });
                    reading = taken.inspect_err(|status| self.call.stopping(status))?;
                }
            }
        }
    }

    /// Takes one message; an error ends the whole call.
    fn take(&mut self, request: v1::BatchExtractRequest) -> Result<(), Status> {
        let account = self.call.next_message();
        match request.message {
            Some(Message::Extract(request)) => self.begin(request, account),
            Some(Message::CancelRequestId(id)) if id.len() > limits::REQUEST_ID_BYTES_MAX => {
                let most = limits::REQUEST_ID_BYTES_MAX;
                let what = format!("is {} bytes long, the most is {most}", id.len());
                Err(wrong("cancel_request_id", &what))
            }
            Some(Message::CancelRequestId(id)) => {
                // Unknown or ended: there is nothing to stop.
                if let Some(cancel) = self.in_flight.lock().get(&id) {
                    cancel.cancel();
                }
                Ok(())
            }
            None => Err(wrong("message", "is not set: send extract or cancel_request_id")),
        }
    }

    fn begin(
        &mut self,
        mut request: v1::ExtractRequest,
        account: Option<Account>,
    ) -> Result<(), Status> {
        let id = request.request_id.clone();
        if id.is_empty() {
            // Without a name its outcome could not be told from another's.
            return Err(wrong("extract.request_id", "is empty: each document needs its own"));
        }
        if self.in_flight.lock().contains_key(&id) {
            let what = format!("{id:?} is in flight already: each document needs its own");
            return Err(wrong("extract.request_id", &what));
        }
        let permit = match self.admit() {
            Ok(permit) => permit,
            Err(status) => {
                // It has no call of its own that would end.
                self.call.count_refusal(&status);
                self.refusals.push_back(failed(id, &status));
                return Ok(());
            }
        };
        let cancel = CancellationToken::new();
        self.in_flight.lock().insert(id.clone(), cancel.clone());
        let document = Document {
            call: Arc::new(self.call.document(&id)),
            traced: self.traced,
            state: Arc::clone(&self.state),
            out: self.out.clone(),
            in_flight: self.in_flight.clone(),
            id: id.clone(),
        };
        document.call.counts(permit);
        document.call.hold(account, &mut request);
        let task = self.documents.spawn(document.run(request, cancel));
        self.ids.insert(task.id(), id);
        Ok(())
    }

    /// Whether there is room for one more document: in the call, and in what its caller may have.
    fn admit(&self) -> Result<Option<Permit>, Status> {
        let (in_flight, most) =
            (self.in_flight.lock().len(), self.state.config.batch_in_flight_max);
        if in_flight >= most {
            return Err(error::batch_full(in_flight, most));
        }
        self.call.admit_document()
    }

    fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        match ended {
            Ok((task, ())) => {
                self.ids.remove(&task);
            }
            Err(error) => {
                if let Some(id) = self.ids.remove(&error.id()) {
                    self.in_flight.remove(&id);
                    self.refusals.push_back(failed(id, &error::panicked()));
                }
            }
        }
    }
}

/// One document on its way.
struct Document {
    call: Arc<Call>,
    traced: Option<TraceOptions>,
    state: Arc<State>,
    out: mpsc::Sender<v1::BatchExtractResponse>,
    in_flight: InFlight,
    id: String,
}

impl Document {
    /// Sends all messages of the document, the last of which is its outcome.
    async fn run(self, request: v1::ExtractRequest, cancel: CancellationToken) {
        let outcome = tokio::select! {
            biased;
            outcome = self.answer(request) => outcome,
            () = cancel.cancelled() => Err(error::cancelled()),
        };
        if let Err(status) = &outcome {
            self.call.finish(status);
        }
        // A client that is gone needs no outcome.
        let Ok(permit) = self.out.reserve().await else { return };
        // From here on nothing waits: what is said of the end is what the client gets.
        let message = match outcome {
            Ok(completed) => {
                self.call.finish(&Status::ok(""));
                self.message(completed)
            }
            Err(status) => failed(self.id.clone(), &status),
        };
        self.in_flight.remove(&self.id);
        permit.send(message);
    }

    /// Sends all messages but the last, which is its result.
    async fn answer(&self, request: v1::ExtractRequest) -> Result<v1::ExtractResponse, Status> {
        let mut answer =
            extract::begin(&self.state, Arc::clone(&self.call), self.traced, request).await?;
        while let Some(response) = answer.next().await {
            let response = response?;
            if matches!(response.event, Some(Event::Completed(_))) {
                return Ok(response);
            }
            if self.out.send(self.message(response)).await.is_err() {
                return Err(Status::cancelled("the client went away"));
            }
        }
        Err(error::panicked())
    }

    fn message(&self, response: v1::ExtractResponse) -> v1::BatchExtractResponse {
        let outcome = Some(Outcome::Response(response));
        v1::BatchExtractResponse { request_id: self.id.clone(), outcome }
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.call.finish_dropped();
    }
}

/// The outcome that `status` would have been.
fn failed(id: String, status: &Status) -> v1::BatchExtractResponse {
    let details = status.get_error_details();
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    let violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
    let violations: Vec<v1::FieldViolation> = violations
        .map(|violation| v1::FieldViolation {
            field: violation.field.clone(),
            description: violation.description.clone(),
        })
        .collect();
    let info = details.error_info();
    let error = v1::ExtractError {
        code: status.code() as i32,
        reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
        retry_after: retry.and_then(|after| after.try_into().ok()),
        fields: violations.iter().map(|violation| violation.field.clone()).collect(),
        metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
        violations,
    };
    v1::BatchExtractResponse { request_id: id, outcome: Some(Outcome::Error(error)) }
}

fn wrong(field: &str, what: &str) -> Status {
    Failure::fields(Reason::InvalidField, vec![FieldViolation::new(field, what)]).into_status()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{self, Handle};
    use crate::prompt::Questions;
    use crate::service::Config;
    use crate::service::orca::LoadMeter;

    /// Of a server whose model never loads.
    fn state() -> Arc<State> {
        let engine =
            Handle::start(engine::Config::default(), |_| Err("there is no model here".into()));
        Arc::new(State {
            load: Arc::new(LoadMeter::new(engine.clone())),
            engine,
            config: Config::new("none"),
            questions: Arc::new(Questions::load(None).unwrap()),
            shutdown: CancellationToken::new(),
        })
    }

    #[tokio::test]
    async fn a_name_is_free_as_soon_as_its_outcome_is_there() {
        let (state, call) = (state(), Call::of(&Request::new(())));
        let (out, mut messages) = mpsc::channel(1);
        let in_flight = InFlight::default();
        for _ in 0..20 {
            let cancel = CancellationToken::new();
            in_flight.lock().insert("a".to_owned(), cancel.clone());
            let document = Document {
                call: Arc::new(call.document("a")),
                traced: None,
                state: Arc::clone(&state),
                out: out.clone(),
                in_flight: in_flight.clone(),
                id: "a".to_owned(),
            };
            // Without a file it is refused.
            let running = tokio::spawn(document.run(v1::ExtractRequest::default(), cancel));
            let outcome = messages.recv().await.unwrap();
            assert!(in_flight.lock().is_empty(), "{outcome:?}");
            let Some(Outcome::Error(error)) = outcome.outcome else { panic!("{outcome:?}") };
            assert_eq!(error.fields[0], "files");
            running.await.unwrap();
        }
    }

    #[test]
    fn documents_end_by_what_ended_their_call() {
        let call = Call::of(&Request::new(()));
        let document = call.document("a");
        assert_eq!(document.drop_status().code(), tonic::Code::Cancelled, "the client went away");
        call.stopping(&error::drain_timeout());
        assert_eq!(document.drop_status().code(), tonic::Code::Unavailable);
        document.stopping(&error::deadline("decode"));
        assert_eq!(
            document.drop_status().code(),
            tonic::Code::DeadlineExceeded,
            "its own end counts"
        );
    }
}
