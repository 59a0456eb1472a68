//! The Extract call up to its first message. Until the engine has accepted the request every failure
//! is the call's status and nothing else, which a mesh may retry elsewhere.

use std::sync::Arc;

use tokio_stream::StreamExt as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use super::State;
use super::call::Call;
use super::error::{self, Failure, Reason};
use super::generation::Generation;
use super::kind::{Begun, Pending};
use super::reading::Form;
use super::stream::{Answer, Wishes};
use super::validate::{self, Task};
use super::{convert, fetched, trace};
use crate::engine::{self, EngineError, Event, Events, Job, Place};
use crate::fields::PageTexts;
use crate::pb::v1;
use crate::prompt::{AnswerStyle, Question, QuestionError, Questions};
use crate::schema::{DocumentKind, Schema};
use crate::telemetry::spans::{RequestTrace, TraceOptions};

/// More than the name of any kind of document has. The caller's limit is for the fields.
const KIND_TOKENS_MAX: usize = 32;

/// The request that follows where the kind of the document is asked for first.
struct Second {
    job: Job,
    style: AnswerStyle,
    instructions: String,
    constrain: bool,
}

/// What the model is asked, and what becomes of its answer.
struct Asked {
    question: String,
    /// As `Question::template`; empty for a prompt of the caller's.
    template: String,
    /// The fields that the answer has, and how it writes them.
    fields: Option<Form>,
    /// The answer is the kind of the document; its fields are asked for then, like this.
    kind_first: Option<(AnswerStyle, String)>,
}

/// Takes a call to its `accepted` and returns the stream of the rest.
pub(super) async fn extract(
    state: &State,
    request: Request<v1::ExtractRequest>,
) -> Result<Response<Answer<Events>>, Status> {
    let call = Call::of(&request);
    let traced = traced(state, request.metadata())?;
    let mut request = request.into_inner();
    call.hold(call.next_message(), &mut request);
    begin(state, call, traced, request).await.map(Response::new)
}

/// What the traces of a call's requests hold; none where nothing is traced.
pub(super) fn traced(
    state: &State,
    metadata: &MetadataMap,
) -> Result<Option<TraceOptions>, Status> {
    let tracing = state.config.telemetry.tracing();
    tracing.map(|tracing| trace::options(metadata, tracing)).transpose()
}

/// The same for a request of any call.
pub(super) async fn begin(
    state: &State,
    call: Arc<Call>,
    traced: Option<TraceOptions>,
    request: v1::ExtractRequest,
) -> Result<Answer<Events>, Status> {
    // One model from here on, whatever the server changes to meanwhile.
    let model = state.engine.model();
    let served = model.served();
    let tracing = state.config.telemetry.tracing();
    let bounds = state.bounds(
        served.map(|served| &*served.spec),
        served.and_then(|served| served.tiles_per_page_max),
    );
    let mut checked = validate::check(request, &bounds)?;
    if !checked.named.is_empty() {
        // Nothing is fetched for a request that is not taken anyway.
        if let Some(reject) = model.refusal() {
            return Err(error::rejected(&reject));
        }
        fetched::fetch(state, &call, &mut checked).await?;
    }
    let named: Vec<usize> = checked.named.iter().map(|(file, _)| *file).collect();
    let Asked { question, template, fields: asked, kind_first } =
        ask(&state.questions, &checked.task, checked.constrain)
            .map_err(|error| unanswerable(&error))?;
    let constrain = checked.constrain;
    let output_type = if asked.is_some() || kind_first.is_some() { "json" } else { "text" };
    let wishes = Wishes {
        tokens: checked.kinds.tokens,
        logprobs: checked.logprobs,
        fields: checked.kinds.fields,
        asked,
        calibration: served.and_then(|served| served.calibration.clone()),
        heartbeat: state.config.heartbeat,
    };
    let mut job = convert::job(checked, question, &call);
    call.note(|record| {
        record.request_id = Some(job.id.clone());
        record.phase = Some("prepare");
    });
    let trace_id = trace::sampled_trace_id(&call.span);
    let id = job.id.clone();
    let mut generation = Generation::begin(call, &mut job, &bounds.model, output_type, named);
    if let Some((tracing, options)) = tracing.zip(traced) {
        generation.trace(&mut job, tracing, options);
    }

    let submitted = match kind_first {
        None => model.submit(job).map(|events| (events, None)),
        Some((style, instructions)) => {
            let second = Second { job: job.clone(), style, instructions, constrain };
            let questions = Arc::clone(&state.questions);
            // The name of a kind is short: no more than this is asked for.
            job.output_tokens_max = KIND_TOKENS_MAX;
            // Fields are of the request that follows, and so hang under its steps.
            job.trace = job.trace.as_ref().map(RequestTrace::beside);
            model.submit_first(job).map(|(events, place)| {
                let begin = move |kind| second.begin(kind, place, &questions);
                (events, Some(Pending::new(begin)))
            })
        }
    };
    let (mut events, pending) = submitted.map_err(|reject| generation.rejected(&reject))?;
    let first = first_event(&mut events).await.map_err(|error| generation.failed(&error))?;
    generation.call().note(|record| {
        record.pages = Some(first.tiles_per_page.len());
        record.input_tokens = Some(first.input_tokens);
    });
    let texts = PageTexts::new(first.pages.iter().map(|page| page.text.as_deref()));
    let accepted = v1::Accepted {
        request_id: id,
        model: bounds.model,
        model_revision: served.map(|served| served.spec.revision.clone()).unwrap_or_default(),
        trace_id: trace_id.unwrap_or_default(),
        tiles_per_page: first.tiles_per_page,
        pages: first.pages.iter().map(convert::page_source).collect(),
        input_tokens: first.input_tokens as u32,
        prompt_template: template,
    };
    Ok(Answer::new((accepted, texts), (events, pending), generation, wishes))
}

// === impl Second ===

impl Second {
    /// Asks for the fields of `kind`, with the pages that are here already.
    fn begin(
        self,
        kind: DocumentKind,
        place: Place,
        questions: &Questions,
    ) -> Result<Begun<Events>, Status> {
        let Self { job, style, instructions, constrain } = self;
        let schema = Arc::new(Schema::of(kind));
        let question = questions.extract(&schema, style, &instructions);
        let question = question.map_err(|error| unanswerable(&error))?;
        let grammar = constrain.then(|| convert::grammar(&schema, style)).flatten();
        let asked = Form { schema, style, held: grammar.is_some() };
        let job = Job { question: question.text, grammar, ..job };
        Ok(Begun { events: place.submit(job), asked, template: question.template })
    }
}

fn ask(questions: &Questions, task: &Task, constrain: bool) -> Result<Asked, QuestionError> {
    let (question, fields, kind_first) = match task {
        Task::Document { schema, style, instructions } => {
            let question = questions.extract(schema, *style, instructions)?;
            let (schema, style) = (Arc::clone(schema), *style);
            (question, Some(Form { schema, style, held: constrain }), None)
        }
        Task::Auto { style, instructions } => {
            (questions.classify(instructions)?, None, Some((*style, instructions.clone())))
        }
        Task::Prompt(prompt) => {
            let question = Question { text: prompt.clone(), template: String::new() };
            (question, None, None)
        }
    };
    let Question { text, template } = question;
    Ok(Asked { question: text, template, fields, kind_first })
}

/// A template of the operator's that works only for some schemas.
fn unanswerable(error: &QuestionError) -> Status {
    Failure::new(Code::Internal, Reason::Prompt, error.to_string()).into_status()
}

/// The engine says first that it accepted, or why not.
async fn first_event(events: &mut Events) -> Result<engine::Accepted, EngineError> {
    match events.next().await {
        Some(Ok(Event::Accepted(accepted))) => Ok(accepted),
        Some(Ok(_)) => {
            Err(EngineError::Panicked { message: "the first event is not Accepted".to_owned() })
        }
        Some(Err(error)) => Err(error),
        None => Err(EngineError::Stopped),
    }
}
