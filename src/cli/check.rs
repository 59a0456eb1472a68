//! `tessera check`: everything that can be known before serving, all of it at once: configuration,
//! addresses, files, devices, the model's directory, whether it fits.

use clap::Args;

use super::failure::{Exit, Failure};
use super::term::{Style, Term, print};
use crate::app::preflight::{self, Finding, Outcome};
use crate::config::env::ProcessEnv;
use crate::config::{self, Flags, Low};

const AFTER_HELP: &str = "\
Takes the options of `tessera serve`, reads what serve would read, and loads no weights. An address that is
in use is a warning: a server that runs already may be the one that is asked about.

Exit code:
  0  nothing stands against serving
  1  something does; each is a line
  2  the configuration is wrong; each mistake is a line

Examples:
  tessera check --config /etc/tessera/tessera.toml
  TESSERA_MODEL=/models/InternVL3-8B tessera check --devices cuda:0,cuda:1";

/// Check configuration, environment and model directory without loading anything
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(args: &CheckArgs, term: &Term) -> Result<(), Failure> {
    let config = config::check(&Low::gather(&args.flags, &ProcessEnv))
        .map_err(|problems| Failure::new(Exit::Usage, problems.to_string()))?;
    let findings = preflight::run(&config);
    for finding in &findings {
        print(&line(finding, term))?;
    }
    let wrong = findings.iter().filter(|finding| finding.outcome == Outcome::Wrong).count();
    if wrong > 0 {
        let what = format!("{wrong} of {} checks failed", findings.len());
        return Err(Failure::new(Exit::Failed, what));
    }
    print(&term.paint(Style::Good, "ready: nothing stands against serving"))?;
    Ok(())
}

fn line(finding: &Finding, term: &Term) -> String {
    let mark = match finding.outcome {
        Outcome::Well => term.paint(Style::Good, "✓"),
        Outcome::Warning => term.paint(Style::Bold, "!"),
        Outcome::Wrong => term.paint(Style::Bad, "✗"),
    };
    let remedy = finding.remedy.as_ref().map(|remedy| format!("\n    {remedy}"));
    format!("{mark} {:<14} {}{}", finding.what, finding.found, remedy.unwrap_or_default())
}
