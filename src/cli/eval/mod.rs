//! `tessera eval`: reads every image of a labelled set with a server, and says how right it was, how
//! sure, and how fast.

mod compare;
mod diff;
mod documents;
mod heatmap;
mod html;
mod judged;
mod markdown;
mod read;
mod record;
mod summary;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::client::Client;
use super::connection::{Connection, ConnectionArgs};
use super::extract::Answers;
use super::failure::{Exit, Failure};
use super::local::{self, Local};
use super::runtime;
use super::term::{Style, Term, print, print_err};
use crate::accuracy::Point;
use crate::config::env::ProcessEnv;
use crate::config::{Flags, Key, value};
use crate::fields::{OTHER_KINDS, Rule};
use crate::pb::v1::ModelStatus;
use crate::schema::{self, Schema};
use documents::Asked;
use judged::Judged;
use record::{Asking, Run, Session};
use summary::Summary;

const AFTER_HELP: &str = "\
Ground truth:
  truth.csv      first line names the columns: image_file, then fields; lists joined with ' | ',
                 NOT_FOUND for what the page does not have, an empty cell for what nobody labelled
  truth.jsonl    {\"image\": …, \"document_type\": …, \"fields\": {…}} on each line
  a directory    IMAGE.json beside each image, {\"document_type\": …, \"fields\": {…}}

Scores:
  strict          the same value, whatever its form; exact: the same characters
  guide           the batch notebook's evaluator; guide_accuracy: its field accuracy
  anls, list_f1   shares of letters, and of a list's items
  A document that failed, and a field that the answer leaves out, score 0 with all of them.

Output in --out: results.csv, results.jsonl, summary.json, report.md, report.html. Started again with
the same --out it goes on where it stopped, and reads again what failed.

Without --server it serves in this process, with the options below; with it they must be left out.

Exit code:
  0  every document was read, right or wrong
  1  none was, or the output could not be written
  2  the command line, the truth or the configuration is wrong
  3  no server
  4  some documents were not read

Examples:
  tessera eval --images models/tessera-tiny/samples --truth models/tessera-tiny/samples --out eval
  tessera eval --images scans --truth truth.csv --server 10.0.0.5:50051 --out eval-bf16
  tessera eval --images scans --truth truth.csv --dtype f32 --out eval-f32 --compare eval-bf16";

/// Measure how right a model reads a labelled set of documents
///
/// A client like any other: it reads each image through gRPC, compares every field with the truth, and
/// writes tables and a report with accuracy, confidence, speed and the worst documents.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct EvalArgs {
    /// Directory for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The results of another run to compare with, document by document
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    set: SetArgs,
}

/// A labelled set, and who reads it.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// Directory of page files, one document each
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    images: Vec<PathBuf>,
    /// What is on them: a CSV or JSONL file, or a directory of JSON files
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// The server to ask; without it one is started here
    #[arg(long, value_name = "ADDR")]
    server: Option<String>,
    /// Documents at once [default: as many as the server runs at once, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    concurrency: Option<u32>,
    /// What to ask for: what the truth says a document is, one type for all, or the server's own guess
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "truth")]
    kind: Ask,
    /// How the model writes the fields
    #[arg(long, value_enum, value_name = "STYLE", default_value = "json")]
    answer_style: Answers,
    /// Let the model write what it likes instead of holding it to the schema
    #[arg(long)]
    no_constrain: bool,
    /// Read only the first so many documents
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Give up on a document after this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = value::duration)]
    timeout: Duration,
    #[command(flatten)]
    flags: Flags,
}

/// Which type a document is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Ask {
    /// As the truth says
    Truth,
    Receipt,
    Invoice,
    BankStatement,
    /// As the server finds; what the truth says is scored
    Auto,
}

/// A set that was read and judged.
struct Measured {
    asked: Vec<Asked>,
    judged: Vec<Judged>,
    session: Session,
}

/// What a calibration is made from.
#[derive(Debug)]
pub(super) struct Confidences {
    pub revision: String,
    pub documents: usize,
    pub values: Vec<Confident>,
}

/// One value's confidence, and the kind of value that it is.
#[derive(Debug)]
pub(super) struct Confident {
    pub kind: String,
    pub point: Point,
    /// Checks that looked at it, and whether they agreed.
    pub checks: Vec<(Rule, bool)>,
}

pub(super) fn run(args: &EvalArgs, term: &Term) -> Result<(), Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(eval(args, term));
    runtime.shutdown_background();
    done
}

async fn eval(args: &EvalArgs, term: &Term) -> Result<(), Failure> {
    // Read before the hours of work that it is to be compared with.
    let before = args.compare.as_deref().map(record::read_all).transpose()?;
    let flags = args.set.flags.clone();
    let Measured { asked, judged, session, .. } =
        measure(&args.set, flags, &args.out, term, |_| Ok(())).await?;
    let summary = Summary::of(&judged, &session);
    let compared = before.map(|before| compare::compare(&judged, &judged::judge(&asked, &before)));
    write(&args.out, &judged, &summary, compared.as_ref())?;
    session.close(&judged)?;
    print(&markdown::short(&summary, compared.as_ref()))?;
    print(&format!("\n  {}", args.out.join("report.html").display()))?;
    ended(&summary)
}

/// Reads what `out` does not have yet of the set, and judges all of it. `flags` are of the server, where
/// one is started here.
async fn measure(
    set: &SetArgs,
    flags: Flags,
    out: &Path,
    term: &Term,
    accepts: impl Fn(&Run) -> Result<(), Failure>,
) -> Result<Measured, Failure> {
    let mut labelled = documents::labelled(&set.images, &set.truth)?;
    for warning in &labelled.warnings {
        print_err(&format!("{} {warning}", term.paint_err(Style::Dim, "note:")));
    }
    labelled.documents.truncate(set.limit.unwrap_or(usize::MAX));
    let local = match &set.server {
        Some(_) => {
            local::refuse(&set.flags)?;
            None
        }
        None => Some(Local::start(flags, term).await?),
    };
    let address = local.as_ref().map_or_else(
        || set.server.clone().unwrap_or_default(),
        |local| local.ready.address.to_string(),
    );
    let connection = match &local {
        Some(_) => Connection::plain(&address),
        // Certificates and tokens by variables.
        None => Connection::new(Some(&address), &ConnectionArgs::default(), &ProcessEnv)?,
    };
    let mut client = Client::connect(&connection).await?;
    let model = client.model().await?;
    let asked = labelled
        .documents
        .into_iter()
        .map(|document| document.asked_as(set.kind, &model))
        .collect::<Result<Vec<_>, Failure>>()?;
    let asking = Asking {
        held: !set.no_constrain,
        finds_types: set.kind == Ask::Auto,
        in_lines: set.answer_style == Answers::KeyValue,
    };
    let run = Run::of(&model, asking);
    accepts(&run)?;
    let mut session = Session::open(out, run, &asked)?;
    let concurrency = set.concurrency.map_or_else(|| at_once(&model), |n| n as usize);
    read::read_all(&client, &asked, &mut session, concurrency, set.timeout).await?;
    let judged = judged::judge(&asked, session.records());
    Ok(Measured { asked, judged, session })
}

/// Reads a set into `out` and returns the confidence of every value of documents that were read.
pub(super) async fn confidences(
    set: &SetArgs,
    out: &Path,
    term: &Term,
) -> Result<Confidences, Failure> {
    // The model's own: a curve is fitted to what it says, not to what another curve made of that.
    let mut flags = set.flags.clone();
    flags.values.insert(Key::Calibration, "off".to_owned());
    let own = |run: &Run| {
        if run.calibrated {
            return Err(Failure::new(Exit::Usage, "the server's confidence is calibrated already")
                .remedy("a server with --calibration off"));
        }
        Ok(())
    };
    let Measured { judged, session, .. } = measure(set, flags, out, term, own).await?;
    let summary = Summary::of(&judged, &session);
    write(out, &judged, &summary, None)?;
    session.close(&judged)?;
    let run = &summary.run;
    let values = judged.iter().enumerate().flat_map(|(document, judged)| {
        let checks = judged.checks();
        judged.judgements.iter().filter_map(move |judgement| {
            let pointer = format!("/{}", judgement.name);
            let (confidence, is_right) =
                (judged.read_confidence(judgement)?, judgement.scores.is_right());
            let kind = Schema::of_every_kind().kind_at(&pointer);
            let kind = kind.map_or(OTHER_KINDS, schema::Kind::label).to_owned();
            let looked = checks.iter().filter(|check| check.looked_at(&pointer));
            let checks = looked.map(|check| (check.rule, check.passed())).collect();
            Some(Confident { kind, point: Point { document, confidence, is_right }, checks })
        })
    });
    Ok(Confidences {
        revision: run.revision.clone(),
        documents: judged.len(),
        values: values.collect(),
    })
}

/// Documents at once where nobody says: what keeps the server busy and fills no queue.
fn at_once(model: &ModelStatus) -> usize {
    let slots = model.limits.as_ref().map_or(1, |limits| limits.max_running_requests as usize);
    slots.clamp(1, 16)
}

fn write(
    out: &Path,
    judged: &[Judged],
    summary: &Summary,
    compared: Option<&compare::Comparison>,
) -> Result<(), Failure> {
    let csv = table::results(judged).map_err(|error| unwritable(out, &error))?;
    let json = serde_json::json!({ "summary": summary, "comparison": compared });
    for (name, content) in [
        ("results.csv", csv),
        ("summary.json", format!("{json:#}\n")),
        ("report.md", markdown::report(judged, summary, compared)),
        ("report.html", html::report(judged, summary, compared)),
    ] {
        std::fs::write(out.join(name), content).map_err(|error| unwritable(out, &error))?;
    }
    Ok(())
}

fn unwritable(out: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write to {}", out.display()))
        .because(error)
        .remedy("another --out DIR")
}

fn ended(summary: &Summary) -> Result<(), Failure> {
    let failed: usize = summary.failures.values().sum();
    if failed == 0 {
        return Ok(());
    }
    let codes: Vec<String> =
        summary.failures.iter().map(|(code, count)| format!("{count} × {code}")).collect();
    let exit = if failed == summary.documents { Exit::Failed } else { Exit::Incomplete };
    Err(Failure::new(exit, format!("{failed} of {} documents were not read", summary.documents))
        .fact("codes", codes.join(", "))
        .remedy("the same command again: it reads only what failed"))
}
