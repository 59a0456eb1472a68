//! `tessera demo`: a server in this process, a bundled receipt through the network stack, and each
//! field compared with what the receipt says.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::client::{Answer, Client};
use super::connection::Connection;
use super::extract::{receipt_request, sample_fields};
use super::failure::{Exit, Failure};
use super::local::Local;
use super::term::{Style, Term, print, printable};
use super::view::{Show, View, summary};
use super::{refusal, runtime};
use crate::app::Ready;
use crate::config::{self, Config, Flags, Key, Low};

pub(super) const RECEIPT: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/models/tessera-tiny/samples/receipt-01.png"
));
const TRUTH: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/models/tessera-tiny/samples/receipt-01.json"
));

/// More than any machine that can run the model at all needs for one receipt.
const TIMEOUT: Duration = Duration::from_mins(10);

const AFTER_HELP: &str = "\
Exit code:
  0  every field is right
  1  a field differs, or the demo could not run";

/// Read a bundled receipt and check every field
///
/// Starts a server in this process on a free port of this machine, sends a receipt that is part of the
/// binary through gRPC, and draws the answer as it comes: ✓ where a field is what the receipt says,
/// ✗ where it is not. Needs no network, no GPU and no download.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DemoArgs {}

pub(super) fn run(_args: &DemoArgs, term: &Term) -> Result<(), Failure> {
    let runtime = runtime()?;
    let shown = runtime.block_on(demo(term));
    runtime.shutdown_background();
    shown
}

async fn demo(term: &Term) -> Result<(), Failure> {
    print(&term.paint(Style::Bold, "Tessera reads a receipt"))?;
    let server = Local::with(config()?, term).await?;
    let ready = &server.ready;
    print(&format!(
        "  server   {} on {}, ready in {} ms",
        ready.spec.name,
        ready.address,
        ready.took.as_millis()
    ))?;
    print("  document models/tessera-tiny/samples/receipt-01.png, part of this binary\n")?;
    let truth = sample_fields(TRUTH);
    let answer = read(ready, &truth, term).await?;
    // The answer is there: what is left of the server has nothing to finish.
    drop(server);
    verdict(&answer, &truth, term)
}

/// The built-in model on a free port, whatever the environment says: a demo is always the same.
fn config() -> Result<Config, Failure> {
    let mut flags = Flags::default();
    flags.values.insert(Key::Listen, "127.0.0.1:0".to_owned());
    flags.values.insert(Key::Devices, "cpu".to_owned());
    flags.values.insert(Key::Slots, "1".to_owned());
    let env = std::collections::BTreeMap::new();
    config::check(&Low::gather(&flags, &env))
        .map_err(|problems| Failure::new(Exit::Failed, problems.to_string()))
}

async fn read(ready: &Ready, truth: &Map<String, Value>, term: &Term) -> Result<Answer, Failure> {
    let mut client = Client::connect(&Connection::plain(&ready.address.to_string())).await?;
    let show = Show {
        answer: true,
        free_text: false,
        names: truth.keys().cloned().collect(),
        truth: Some(truth.clone()),
    };
    let mut view = View::new(term, show);
    let answer = client.extract(&receipt_request(RECEIPT), TIMEOUT, &mut view).await;
    view.finish()?;
    answer.map_err(|status| refusal::failure("the demo's receipt", &status))
}

/// Counts what is right, tells the rest, and says where to go from here.
fn verdict(answer: &Answer, truth: &Map<String, Value>, term: &Term) -> Result<(), Failure> {
    print("")?;
    for line in summary(answer) {
        print(&format!("  {}", term.paint(Style::Dim, &line)))?;
    }
    let read: Map<String, Value> = answer
        .completed
        .document_json
        .as_deref()
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    let differing = differing(&read, truth);
    let right = truth.len().saturating_sub(differing.len());
    let style = if differing.is_empty() { Style::Good } else { Style::Bad };
    let count = format!("{right} of {} fields are right", truth.len());
    print(&format!("\n  {}\n", term.paint(style, &count)))?;
    if !differing.is_empty() {
        let mut failure =
            Failure::new(Exit::Failed, "the demo read fields that the receipt does not say");
        for name in differing {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            let difference =
                format!("read {}, is {}", text(read.get(&name)), text(truth.get(&name)));
            failure = failure.fact(printable(&name), printable(&difference));
        }
        return Err(failure);
    }
    print("Next:")?;
    print("  tessera serve                          keep a server running")?;
    print("  tessera extract YOUR.png               read your own page, from another terminal")?;
    print("  tessera serve --model ./InternVL3-2B   a model that reads more than clean receipts")?;
    Ok(())
}

/// Names of fields that are missing, wrong or too many.
fn differing(read: &Map<String, Value>, truth: &Map<String, Value>) -> Vec<String> {
    let wrong = truth.iter().filter(|(name, value)| read.get(*name) != Some(value));
    let extra = read.keys().filter(|name| !truth.contains_key(*name));
    wrong.map(|(name, _)| name).chain(extra).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_has_fields() {
        assert_eq!(sample_fields(TRUTH)["TOTAL_AMOUNT"], "$5976.93");
        assert!(config().is_ok());
    }

    #[test]
    fn missing_wrong_and_extra_fields_differ() {
        let fields = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let truth = fields(r#"{"A": "1", "B": "2", "C": "3"}"#);
        assert_eq!(
            differing(&fields(r#"{"A": "1", "B": "x", "D": "4"}"#), &truth),
            ["B", "C", "D"]
        );
        assert!(differing(&truth, &truth).is_empty());
    }
}
