//! Checks a request against its rules and the server's limits, and collects everything that is
//! wrong with it: a client should not have to find its mistakes one by one.

mod schema;

use std::sync::Arc;

use tonic::Status;
use tonic_types::FieldViolation;

use super::error::{Failure, Reason, model_not_found};
use crate::engine::{PageFile, Priority, Sampling};
use crate::fetch::{Origins, Target, UriError};
use crate::limits;
use crate::pb::v1;
use crate::pb::v1::extraction_schema::Source;
use crate::preprocess::Wanted;
use crate::prompt::AnswerStyle;
use crate::schema::Schema;

const TEMPERATURE_MAX: f32 = 2.0;
const REPETITION_PENALTY_MAX: f32 = 2.0;

/// What of the limits depends on the server's settings and its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) model: String,
    pub(super) pages_max: usize,
    pub(super) tiles_per_page_max: u32,
    pub(super) output_tokens_max: usize,
    /// Where files may be fetched from; none: nowhere.
    pub(super) origins: Option<Arc<Origins>>,
}

/// A request without mistakes that can be seen before its files are decoded.
#[derive(Debug)]
pub(super) struct Checked {
    /// Empty: the server makes one.
    pub(super) request_id: String,
    pub(super) files: Vec<PageFile>,
    /// Files that are to be fetched, and where: their contents are empty until then.
    pub(super) named: Vec<(usize, Target)>,
    pub(super) task: Task,
    pub(super) priority: Priority,
    /// Whether the answer is held to its schema; with a prompt there is none.
    pub(super) constrain: bool,
    pub(super) sampling: Sampling,
    /// Whether the client wants to know how probable each token was.
    pub(super) logprobs: bool,
    pub(super) output_tokens_max: usize,
    pub(super) stop: Vec<String>,
    pub(super) tiles_max: Option<u32>,
    pub(super) kinds: Kinds,
}

/// The events that the client wants beside those that every answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds {
    /// `token_delta`
    pub(super) tokens: bool,
    /// `field_delta` and `field_completed`
    pub(super) fields: bool,
}

impl Checked {
    /// Whether anybody sees the fields of the answer, in events or in `completed`.
    pub(super) fn has_fields(&self) -> bool {
        self.kinds.fields || !matches!(self.task, Task::Prompt(_))
    }
}

/// What to do with the pages.
#[derive(Debug)]
pub(super) enum Task {
    /// Find out which built-in kind they are, then extract its fields.
    Auto {
        style: AnswerStyle,
        instructions: String,
    },
    Document {
        schema: Arc<Schema>,
        style: AnswerStyle,
        instructions: String,
    },
    Prompt(String),
}

/// An empty name means the one model there is.
pub(super) fn check_model(asked: &str, own: &str) -> Result<(), Status> {
    if asked.is_empty() || asked == own { Ok(()) } else { Err(model_not_found(asked, own)) }
}

/// Everything that is wrong with `request`, or the request in the server's own terms.
pub(super) fn check(request: v1::ExtractRequest, bounds: &Bounds) -> Result<Checked, Status> {
    check_model(&request.model, &bounds.model)?;
    let mut problems = Problems::default();
    check_request_id(&request.request_id, &mut problems);
    let named = check_files(&request.files, bounds, &mut problems);
    let free_text = matches!(request.task, Some(v1::extract_request::Task::Prompt(_)));
    let task = check_task(request.task, &mut problems);
    let options = request.generation.unwrap_or_default();
    let sampling = check_sampling(&options, &mut problems);
    let priority = check_priority(request.priority, &mut problems);
    let output_tokens_max = check_output_tokens(&options, bounds, &mut problems);
    check_tiles(&options, bounds, &mut problems);
    check_stop(&options.stop_sequences, free_text, &mut problems);
    let constrain = check_constrain(&options, task.as_ref(), &mut problems);
    let kinds = check_kinds(&request.event_kinds, free_text, &mut problems);
    match task {
        Some(task) if problems.violations.is_empty() => Ok(Checked {
            request_id: request.request_id,
            files: request.files.into_iter().map(page_file).collect(),
            named,
            task,
            constrain,
            sampling,
            priority,
            logprobs: options.logprobs,
            output_tokens_max,
            stop: options.stop_sequences,
            tiles_max: options.max_tiles_per_page,
            kinds,
        }),
        _ => Err(problems.into_status()),
    }
}

fn check_request_id(id: &str, problems: &mut Problems) {
    if id.len() > limits::REQUEST_ID_BYTES_MAX {
        problems.invalid(
            "request_id",
            format!("is {} bytes long, the most is {}", id.len(), limits::REQUEST_ID_BYTES_MAX),
        );
    }
    if !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        problems.invalid("request_id", "has a character that is not visible ASCII");
    }
}

/// Returns those that are to be fetched.
fn check_files(
    files: &[v1::InputFile],
    bounds: &Bounds,
    problems: &mut Problems,
) -> Vec<(usize, Target)> {
    let mut named = Vec::new();
    if files.is_empty() {
        problems.invalid("files", "is empty: send at least one page file");
    }
    // Each file is a page at least, so the pages need not be counted to know.
    if files.len() > bounds.pages_max {
        let remedy = "send them in several requests";
        problems.over_limit("files", "files", ("max_pages", bounds.pages_max), files.len(), remedy);
    }
    for (index, file) in files.iter().enumerate().take(bounds.pages_max) {
        check_wanted(index, file, bounds.pages_max, problems);
        let field = format!("files[{index}].content");
        if !file.uri.is_empty() {
            named.extend(check_uri(index, file, bounds, problems).map(|target| (index, target)));
        } else if file.content.is_empty() {
            problems.invalid(field, "is empty: send the whole file");
        } else if file.content.len() > limits::FILE_BYTES_MAX {
            let size = file.content.len();
            let (limit, remedy) = (
                ("max_file_bytes", limits::FILE_BYTES_MAX),
                "lower its resolution or split its pages",
            );
            problems.over_limit(field, "bytes", limit, size, remedy);
        }
    }
    named
}

/// The place that a file is to be fetched from.
fn check_uri(
    index: usize,
    file: &v1::InputFile,
    bounds: &Bounds,
    problems: &mut Problems,
) -> Option<Target> {
    let field = format!("files[{index}].uri");
    let Some(origins) = &bounds.origins else {
        let what = "this server fetches no files: send the bytes as content, or ask its operator for --fetch-from";
        problems.invalid(field, what);
        return None;
    };
    if !file.content.is_empty() {
        problems.invalid(&field, "is set beside content: send one of them");
    }
    match Target::parse(&file.uri, origins) {
        Ok(target) => return Some(target),
        Err(UriError::TooLong { bytes }) => {
            let limit = ("max_uri_bytes", limits::URI_BYTES_MAX);
            problems.over_limit(field, "bytes", limit, bytes, "send the file's bytes as content");
        }
        Err(error) => problems.invalid(field, error.to_string()),
    }
    None
}

/// The selection of pages and the resolution of one file.
fn check_wanted(index: usize, file: &v1::InputFile, pages_max: usize, problems: &mut Problems) {
    let field = format!("files[{index}].pages");
    if file.pages.len() > pages_max {
        let remedy = "ask for them in several requests";
        problems.over_limit(&field, "pages", ("max_pages", pages_max), file.pages.len(), remedy);
        return;
    }
    for (at, page) in file.pages.iter().enumerate() {
        let field = format!("{field}[{at}]");
        if *page == 0 {
            problems.invalid(field, "is 0: the first page is 1");
        } else if file.pages[..at].contains(page) {
            problems.invalid(field, format!("names page {page} again: each is read once"));
        }
    }
    let dpis = limits::PDF_DPI_MIN..=limits::PDF_DPI_MAX;
    if let Some(dpi) = file.dpi.filter(|dpi| !dpis.contains(dpi)) {
        let what = format!("{dpi} is not in [{}, {}]", dpis.start(), dpis.end());
        problems.invalid(format!("files[{index}].dpi"), what);
    }
}

fn page_file(file: v1::InputFile) -> PageFile {
    let wanted = Wanted {
        pages: file.pages.iter().map(|page| *page as usize).collect(),
        dpi: file.dpi.unwrap_or(limits::PDF_DPI_DEFAULT),
    };
    PageFile { content: file.content, wanted }
}

fn check_task(task: Option<v1::extract_request::Task>, problems: &mut Problems) -> Option<Task> {
    match task {
        None => {
            problems.invalid("task", "is not set: send a schema or a prompt");
            None
        }
        Some(v1::extract_request::Task::Prompt(prompt)) => {
            if prompt.trim().is_empty() {
                problems.invalid("prompt", "is empty: ask something");
            }
            check_text("prompt", &prompt, problems);
            Some(Task::Prompt(prompt))
        }
        Some(v1::extract_request::Task::Schema(schema)) => {
            check_text("schema.instructions", &schema.instructions, problems);
            let style = check_style(schema.answer_style, problems);
            let instructions = schema.instructions;
            if schema.source == Some(Source::DocumentType(v1::DocumentType::Auto.into())) {
                return Some(Task::Auto { style: style?, instructions });
            }
            let schema = schema::check(schema.source, problems)?;
            if style? == AnswerStyle::Lines && schema.has_objects() {
                let what = "KEY_VALUE has no objects inside: ask for JSON";
                problems.invalid("schema.answer_style", what);
            }
            Some(Task::Document { schema, style: style?, instructions })
        }
    }
}

fn check_style(style: i32, problems: &mut Problems) -> Option<AnswerStyle> {
    match v1::AnswerStyle::try_from(style) {
        Ok(v1::AnswerStyle::Unspecified | v1::AnswerStyle::Json) => Some(AnswerStyle::Json),
        Ok(v1::AnswerStyle::KeyValue) => Some(AnswerStyle::Lines),
        Err(_) => {
            problems.invalid("schema.answer_style", format!("{style} is no style"));
            None
        }
    }
}

fn check_text(field: &str, text: &str, problems: &mut Problems) {
    if text.len() > limits::PROMPT_BYTES_MAX {
        let (limit, size) = (limits::PROMPT_BYTES_MAX, text.len());
        problems.over_limit(field, "bytes", ("max_prompt_bytes", limit), size, "shorten it");
    }
}

/// Whether the answer is held to a schema.
fn check_constrain(
    options: &v1::GenerationOptions,
    task: Option<&Task>,
    problems: &mut Problems,
) -> bool {
    let why_not = match task {
        Some(Task::Prompt(_)) => {
            "goes only with a schema: there is nothing to hold an answer to a prompt to"
        }
        Some(Task::Document { schema, style: AnswerStyle::Lines, .. })
            if schema.grammar_of_lines().is_none() =>
        {
            "goes only with JSON here: a name with a colon, or a choice with a bar or a line break, cannot be told \
             from KEY_VALUE lines"
        }
        Some(Task::Document { .. } | Task::Auto { .. }) | None => {
            return options.constrain.unwrap_or(true);
        }
    };
    if options.constrain == Some(true) {
        problems.invalid("generation.constrain", why_not);
    }
    false
}

fn check_sampling(options: &v1::GenerationOptions, problems: &mut Problems) -> Sampling {
    let temperature = options.temperature.unwrap_or(0.0);
    // Written so that NaN fails.
    if !(0.0..=TEMPERATURE_MAX).contains(&temperature) {
        let message = format!("{temperature} is not in [0, {TEMPERATURE_MAX}]");
        problems.invalid("generation.temperature", message);
    }
    let top_p = options.top_p.unwrap_or(1.0);
    if !(top_p > 0.0 && top_p <= 1.0) {
        problems.invalid("generation.top_p", format!("{top_p} is not in (0, 1]"));
    }
    if options.top_k == Some(0) {
        problems.invalid("generation.top_k", "0 is too few: keep at least 1, or leave it unset");
    }
    let min_p = options.min_p.unwrap_or(0.0);
    if !(0.0..=1.0).contains(&min_p) {
        problems.invalid("generation.min_p", format!("{min_p} is not in [0, 1]"));
    }
    let repetition_penalty = options.repetition_penalty.unwrap_or(1.0);
    if !(repetition_penalty > 0.0 && repetition_penalty <= REPETITION_PENALTY_MAX) {
        let message = format!("{repetition_penalty} is not in (0, {REPETITION_PENALTY_MAX}]");
        problems.invalid("generation.repetition_penalty", message);
    }
    Sampling {
        temperature,
        top_k: options.top_k.map(|count| count as usize),
        top_p,
        min_p,
        repetition_penalty,
        seed: options.seed.unwrap_or_else(rand::random),
    }
}

fn check_priority(value: i32, problems: &mut Problems) -> Priority {
    match v1::Priority::try_from(value) {
        Ok(v1::Priority::Unspecified | v1::Priority::Interactive) => Priority::Interactive,
        Ok(v1::Priority::Batch) => Priority::Batch,
        Err(_) => {
            problems.invalid("priority", format!("{value} is no priority"));
            Priority::Interactive
        }
    }
}

fn check_output_tokens(
    options: &v1::GenerationOptions,
    bounds: &Bounds,
    problems: &mut Problems,
) -> usize {
    let Some(asked) = options.max_output_tokens else { return bounds.output_tokens_max };
    let (field, limit, asked) =
        ("generation.max_output_tokens", bounds.output_tokens_max, asked as usize);
    if asked == 0 {
        problems.invalid(field, "0 is too few: ask for at least 1");
    } else if asked > limit {
        let remedy = "ask for fewer, or leave it unset for the most";
        problems.over_limit(field, "tokens", ("max_output_tokens", limit), asked, remedy);
    }
    asked
}

fn check_tiles(options: &v1::GenerationOptions, bounds: &Bounds, problems: &mut Problems) {
    let Some(asked) = options.max_tiles_per_page else { return };
    let (field, limit) = ("generation.max_tiles_per_page", bounds.tiles_per_page_max as usize);
    if asked == 0 {
        problems.invalid(field, "0 is too few: ask for at least 1");
    } else if asked as usize > limit {
        let limit = ("max_tiles_per_page", limit);
        let remedy = "ask for fewer, or leave it unset for the most";
        problems.over_limit(field, "tiles", limit, asked as usize, remedy);
    }
}

fn check_stop(stops: &[String], free_text: bool, problems: &mut Problems) {
    let field = "generation.stop_sequences";
    if !stops.is_empty() && !free_text {
        problems.invalid(field, "goes only with a prompt: it could cut a document anywhere");
    }
    if stops.len() > limits::STOP_SEQUENCES_MAX {
        let (limit, count) = (limits::STOP_SEQUENCES_MAX, stops.len());
        let limit = ("max_stop_sequences", limit);
        problems.over_limit(field, "sequences", limit, count, "leave some out");
    }
    for (index, stop) in stops.iter().enumerate().take(limits::STOP_SEQUENCES_MAX) {
        let field = format!("{field}[{index}]");
        if stop.is_empty() {
            problems.invalid(field, "is empty: leave it out");
        } else if stop.len() > limits::STOP_SEQUENCE_BYTES_MAX {
            let (limit, size) = (limits::STOP_SEQUENCE_BYTES_MAX, stop.len());
            let limit = ("max_stop_sequence_bytes", limit);
            problems.over_limit(field, "bytes", limit, size, "shorten it: its beginning will do");
        }
    }
}

/// What is wanted by name. Whoever says nothing gets tokens, and fields where they were asked for.
fn check_kinds(kinds: &[i32], free_text: bool, problems: &mut Problems) -> Kinds {
    let mut wanted = Kinds { tokens: false, fields: false };
    let mut none = false;
    for (index, kind) in kinds.iter().enumerate() {
        match v1::EventKind::try_from(*kind) {
            Ok(v1::EventKind::Tokens) => wanted.tokens = true,
            Ok(v1::EventKind::Fields) => wanted.fields = true,
            Ok(v1::EventKind::None) => none = true,
            Ok(v1::EventKind::Unspecified) | Err(_) => {
                problems.invalid(format!("event_kinds[{index}]"), format!("{kind} is no kind"));
            }
        }
    }
    if none && (wanted.tokens || wanted.fields) {
        problems.invalid("event_kinds", "asks for NONE and for others");
    }
    if kinds.is_empty() {
        return Kinds { tokens: true, fields: !free_text };
    }
    wanted
}

/// What is kept of all that is wrong: more than a status names, and less than a hostile request could make.
const VIOLATIONS_KEPT: usize = 256;

/// What is wrong so far.
#[derive(Debug, Default)]
struct Problems {
    violations: Vec<FieldViolation>,
    /// The first limit that was passed: its name, its value and the request's.
    limit: Option<(&'static str, usize, usize)>,
    /// A mistake that is not about a limit.
    invalid: bool,
}

impl Problems {
    fn invalid(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.invalid = true;
        self.violation(field.into(), what.into());
    }

    fn over_limit(
        &mut self,
        field: impl Into<String>,
        unit: &str,
        (limit, limit_value): (&'static str, usize),
        value: usize,
        remedy: &str,
    ) {
        self.limit.get_or_insert((limit, limit_value, value));
        let what = format!("{value} {unit} are more than {limit}, {limit_value}: {remedy}");
        self.violation(field.into(), what);
    }

    fn violation(&mut self, field: String, what: String) {
        if self.violations.len() < VIOLATIONS_KEPT {
            self.violations.push(FieldViolation::new(field, what));
        }
    }

    fn into_status(self) -> Status {
        let reason = if self.invalid { Reason::InvalidField } else { Reason::LimitExceeded };
        let mut failure = Failure::fields(reason, self.violations);
        if let Some((limit, limit_value, value)) = self.limit {
            failure = failure
                .with("limit", limit)
                .with("limit_value", &limit_value)
                .with("value", &value);
        }
        failure.into_status()
    }
}

#[cfg(test)]
mod tests;
