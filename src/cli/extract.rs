//! `tessera extract`: sends documents to a server and shows, or prints as JSON, what it reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::client::{Answer, Client};
use super::connection::{Connection, ConnectionArgs};
use super::failure::{Exit, Failure};
use super::refusal::{self, Refusal};
use super::term::{Style, Term, print, printable};
use super::view::{Show, View, disagreements, summary};
use super::{lines, report, runtime};
use crate::config::env::ProcessEnv;
use crate::config::value;
use crate::limits;
use crate::pb::v1::extract_request::Task;
use crate::pb::v1::extraction_schema::Source;
use crate::pb::v1::{
    AnswerStyle, DocumentType, ExtractRequest, ExtractionSchema, FinishReason, GenerationOptions,
    InputFile, ModelStatus,
};

const AFTER_HELP: &str = "\
Output:
  On a terminal: each field as soon as it is whole, with its confidence, then sizes and timings.
  Piped, or with --json: one JSON line per document,
    {\"files\":[…],\"fields\":{…}|null,\"field_details\":{…},\"text\":…,\"finish_reason\":…,…,\"seconds\":{…}}, or
    {\"files\":[…],\"error\":{\"code\":…,\"reason\":…,\"message\":…,\"fields\":[…],\"remedy\":…}}.
  Errors are also explained on stderr.

Exit code (of several, the first that is not 0):
  0  every document was read
  1  a document could not be read
  2  the command line is wrong
  3  no server, or none that takes requests now
  4  an answer is not whole: cut at the token limit, or not a JSON object

Examples:
  tessera extract receipt.png
  tessera extract scan-1.png scan-2.png --pages --type bank_statement
  tessera extract *.jpg --type invoice --json > invoices.jsonl
  tessera extract letter.png --schema letter.schema.json
  tessera extract https://docs.example.com/receipt.png
  tessera extract statement.pdf --select 2,3 --type bank_statement
  tessera extract letter.png --prompt \"Who wrote this letter, and when?\"
  TESSERA_TOKEN=… tessera extract receipt.png --server https://tessera.example.com --ca ca.pem";

const SERVER_HELP: &str = "Where the server listens: HOST:PORT, or https://HOST:PORT for TLS; also \
    TESSERA_SERVER [default: http://127.0.0.1:50051]";

/// Read documents with a running server
///
/// Sends PNG, JPEG, WebP, TIFF or PDF files to a Tessera server and shows the fields it finds. Each file is
/// a document of its own unless you say --pages.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ExtractArgs {
    /// Pages to read: PNG, JPEG, WebP, TIFF or PDF; or https:// URIs of them, where the server fetches
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[arg(long, value_name = "ADDR", help = SERVER_HELP)]
    server: Option<String>,
    /// What the documents are: their fields are extracted
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "receipt")]
    kind: Kind,
    /// JSON Schema of the fields to extract instead of those of a type
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    schema: Option<PathBuf>,
    /// Ask this about the pages instead of extracting fields
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["kind", "schema"])]
    prompt: Option<String>,
    /// How the model writes the fields
    #[arg(
        long,
        value_enum,
        value_name = "STYLE",
        default_value = "json",
        conflicts_with = "prompt"
    )]
    answer_style: Answers,
    /// All files together are the pages of one document
    #[arg(long)]
    pages: bool,
    /// Of each PDF or multi-page TIFF only these pages, the first is 1 [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    select: Vec<u32>,
    /// Dots per inch at which a PDF is rendered [default: 200]
    #[arg(long, value_name = "N")]
    dpi: Option<u32>,
    /// Print JSON lines also on a terminal
    #[arg(long)]
    json: bool,
    /// Cut the answer after this many tokens
    #[arg(long, value_name = "N")]
    max_output_tokens: Option<u32>,
    /// Most tiles per page: more read smaller print and take longer
    #[arg(long, value_name = "N")]
    max_tiles: Option<u32>,
    /// 0: always the likeliest token; up to 2: more variety
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// Let the model write what it likes instead of holding it to the schema
    #[arg(long)]
    no_constrain: bool,
    /// Give up on a document after this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = value::duration)]
    timeout: Duration,
    /// Ask for a trace of this level, where the server makes some: 0 nothing, 1 phases, 2 each step, 3 and 4 more
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=4))]
    trace_level: Option<u8>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The document types that have fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Kind {
    Receipt,
    Invoice,
    BankStatement,
    /// Whatever it is: asked for first
    Auto,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Answers {
    /// One JSON object
    Json,
    /// A line `KEY: value` for each field
    KeyValue,
}

impl Answers {
    pub(super) fn style(self) -> AnswerStyle {
        match self {
            Self::Json => AnswerStyle::Json,
            Self::KeyValue => AnswerStyle::KeyValue,
        }
    }
}

impl Kind {
    /// The task of extracting the fields of this type.
    pub(super) fn task(self, answers: Answers) -> Task {
        task(Source::DocumentType(self.document_type().into()), answers)
    }

    pub(super) fn document_type(self) -> DocumentType {
        match self {
            Self::Receipt => DocumentType::Receipt,
            Self::Invoice => DocumentType::Invoice,
            Self::BankStatement => DocumentType::BankStatement,
            Self::Auto => DocumentType::Auto,
        }
    }
}

/// One document on its way.
#[derive(Debug)]
struct Document {
    names: Vec<String>,
    request: ExtractRequest,
}

pub(super) fn run(args: &ExtractArgs, term: &Term) -> Result<(), Failure> {
    let connection = Connection::new(args.server.as_deref(), &args.connection, &ProcessEnv)?;
    let documents = documents(args)?;
    runtime()?.block_on(read_all(args, &connection, term, documents))
}

async fn read_all(
    args: &ExtractArgs,
    connection: &Connection,
    term: &Term,
    documents: Vec<Document>,
) -> Result<(), Failure> {
    let mut client = Client::connect(connection).await?.traced(args.trace_level);
    let human = term.stdout && !args.json;
    let show = Show {
        answer: human,
        free_text: args.prompt.is_some(),
        names: if human && args.schema.is_none() {
            field_names(&client.model().await?, args.kind)
        } else {
            Vec::new()
        },
        truth: None,
    };
    let mut first_exit = None;
    for document in &documents {
        if human {
            let title = term.paint(Style::Bold, &document.names.join(", "));
            print(&title)?;
        }
        let mut view = View::new(term, show.clone());
        let answer = client.extract(&document.request, args.timeout, &mut view).await;
        view.finish()?;
        let failed = match answer {
            Ok(answer) => told(term, human, args, document, &answer)?,
            Err(status) => {
                if !human {
                    print(&lines::refused(&document.names, &Refusal::of(&status)))?;
                }
                Some(refusal::failure(&document.names.join(", "), &status))
            }
        };
        if let Some(failure) = failed {
            report(term, &failure);
            first_exit.get_or_insert(failure.exit);
        }
    }
    first_exit.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

/// Prints what is left to print of an answer; a failure where it is not whole.
fn told(
    term: &Term,
    human: bool,
    args: &ExtractArgs,
    document: &Document,
    answer: &Answer,
) -> Result<Option<Failure>, Failure> {
    let completed = &answer.completed;
    let no_fields = args.prompt.is_none() && completed.document_json.is_none();
    if human {
        if no_fields {
            print(&printable(&completed.text))?;
        }
        for line in disagreements(completed) {
            print(&format!("  {}", term.paint(Style::Bad, &printable(line))))?;
        }
        for line in summary(answer) {
            print(&format!("  {}", term.paint(Style::Dim, &line)))?;
        }
    } else {
        print(&lines::answered(&document.names, answer))?;
    }
    let what = document.names.join(", ");
    let cut = completed.finish_reason() == FinishReason::Length;
    Ok(match (cut, no_fields) {
        (true, _) => Some(
            Failure::new(
                Exit::Incomplete,
                format!("{what}: the answer was cut at the token limit"),
            )
            .remedy("more --max-output-tokens, or a server with more --slot-tokens"),
        ),
        (false, true) => Some(
            Failure::new(Exit::Incomplete, format!("{what}: the answer is not a JSON object"))
                .fact("found", completed.document_error.clone())
                .remedy("another --type, more --max-tiles, or a larger model"),
        ),
        (false, false) => None,
    })
}

/// The documents that the arguments ask for, read into memory.
fn documents(args: &ExtractArgs) -> Result<Vec<Document>, Failure> {
    let groups: Vec<&[PathBuf]> =
        if args.pages { vec![&args.files] } else { args.files.chunks(1).collect() };
    groups.into_iter().map(|paths| document(args, paths)).collect()
}

fn document(args: &ExtractArgs, paths: &[PathBuf]) -> Result<Document, Failure> {
    let files: Vec<_> =
        paths.iter().map(|path| input_file(args, path)).collect::<Result<_, _>>()?;
    fits(&files, paths)?;
    let task = match &args.prompt {
        Some(prompt) => Task::Prompt(prompt.clone()),
        None => match &args.schema {
            Some(path) => schema_task(path, args.answer_style)?,
            None => args.kind.task(args.answer_style),
        },
    };
    let generation = GenerationOptions {
        max_output_tokens: args.max_output_tokens,
        temperature: args.temperature,
        max_tiles_per_page: args.max_tiles,
        constrain: (args.no_constrain && args.prompt.is_none()).then_some(false),
        ..GenerationOptions::default()
    };
    let request = ExtractRequest {
        files,
        task: Some(task),
        generation: Some(generation),
        ..ExtractRequest::default()
    };
    Ok(Document { names: paths.iter().map(|path| name(path)).collect(), request })
}

/// A message that no server takes breaks the connection, and nobody says why.
fn fits(files: &[InputFile], paths: &[PathBuf]) -> Result<(), Failure> {
    let bytes: usize = files.iter().map(|file| file.content.len()).sum();
    let bytes_max = limits::REQUEST_BYTES_MAX - limits::REQUEST_BESIDES_FILES_BYTES_MAX;
    if bytes <= bytes_max {
        return Ok(());
    }
    let names = paths.iter().map(|path| name(path)).collect::<Vec<_>>().join(", ");
    let what = format!("{names}: {bytes} bytes are more than a request may have, {bytes_max}");
    Err(Failure::new(Exit::Usage, what).remedy("smaller or fewer files"))
}

/// To extract what a file with JSON Schema names.
pub(super) fn schema_task(path: &Path, answers: Answers) -> Result<Task, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read {}", path.display()))
            .because(&error)
            .remedy("the path of a file with JSON Schema text")
    })?;
    Ok(task(Source::JsonSchema(text), answers))
}

fn task(source: Source, answers: Answers) -> Task {
    Task::Schema(ExtractionSchema {
        source: Some(source),
        answer_style: answers.style().into(),
        ..ExtractionSchema::default()
    })
}

/// The URI that an argument is, where it is one.
fn uri(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let (scheme, _) = text.split_once("://")?;
    ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(text)
}

/// What a file is called in what is printed: of a URI nothing behind its path, where signatures are.
fn name(path: &Path) -> String {
    match uri(path) {
        Some(uri) => uri.split(['?', '#']).next().unwrap_or_default().to_owned(),
        None => path.display().to_string(),
    }
}

fn input_file(args: &ExtractArgs, path: &Path) -> Result<InputFile, Failure> {
    let (pages, dpi) = (args.select.clone(), args.dpi);
    if let Some(uri) = uri(path) {
        return Ok(InputFile { uri: uri.to_owned(), pages, dpi, ..InputFile::default() });
    }
    let content = std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read {}", path.display()))
            .because(&error)
            .remedy("the path of a PNG, JPEG, WebP, TIFF or PDF file")
    })?;
    Ok(InputFile { content: Bytes::from(content), pages, dpi, ..InputFile::default() })
}

/// Names of the fields that `kind` has, as the server says.
fn field_names(model: &ModelStatus, kind: Kind) -> Vec<String> {
    let schemas = model.capabilities.iter().flat_map(|c| &c.built_in_schemas);
    schemas
        .filter(|schema| schema.document_type() == kind.document_type())
        .flat_map(|schema| schema.fields.clone())
        .collect()
}

/// The request that `demo` sends: a receipt out of memory.
pub(super) fn receipt_request(content: &'static [u8]) -> ExtractRequest {
    ExtractRequest {
        files: vec![InputFile { content: Bytes::from_static(content), ..InputFile::default() }],
        task: Some(Kind::Receipt.task(Answers::Json)),
        ..ExtractRequest::default()
    }
}

/// Fields of a sample file, `{"fields": {…}}`.
pub(super) fn sample_fields(truth: &str) -> serde_json::Map<String, Value> {
    let sample: Value = serde_json::from_str(truth).unwrap_or_default();
    sample.get("fields").and_then(Value::as_object).cloned().unwrap_or_default()
}
