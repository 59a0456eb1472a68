//! `tessera calibrate`: from a labelled set to `calibration.json`, with which a server's confidence means
//! how often values are right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::eval::{self, Confident, SetArgs};
use super::failure::{Exit, Failure};
use super::term::{Term, print};
use super::{chart, runtime};
use crate::accuracy::{Method, Point, Reliability, best, fit, reliability, unseen};
use crate::fields::{CALIBRATION_FILE, CALIBRATION_FORMAT, Calibration, OTHER_KINDS};

/// Values of a kind below which it has no curve of its own.
const VALUES_MIN: usize = 100;

const AFTER_HELP: &str = "\
Reads the labelled set as `tessera eval` does, into --results, and fits a curve for each kind of value
that has enough of them; the others share one. A method is used only where it predicts documents that it
has not seen better than the confidence as it is. The figures before and after are of such documents.

Put the file beside the weights as calibration.json: a server reads it when it loads the model. Fit it on
documents like those it will be used on, and check it with `tessera eval` on others.

Example:
  tessera calibrate --images scans --truth truth.csv --model ./InternVL3-8B \\
      --results calibration-eval --out ./InternVL3-8B/calibration.json";

/// Make a model's confidence mean how often it is right
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CalibrateArgs {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = CALIBRATION_FILE)]
    out: PathBuf,
    /// Directory for what was read: with results of the same model there, nothing is read again
    #[arg(long, value_name = "DIR", default_value = "calibration-eval")]
    results: PathBuf,
    /// How to fit
    #[arg(long, value_enum, value_name = "METHOD", default_value = "auto")]
    method: Ask,
    #[command(flatten)]
    set: SetArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ask {
    /// What predicts unseen documents best
    Auto,
    Temperature,
    Isotonic,
}

/// What was fitted to one kind of value.
#[derive(Debug)]
struct Fitted {
    kind: String,
    method: Option<Method>,
    before: Vec<(f64, bool)>,
    /// By curves of other documents.
    after: Vec<(f64, bool)>,
}

pub(super) fn run(args: &CalibrateArgs, term: &Term) -> Result<(), Failure> {
    let runtime = runtime()?;
    let read = runtime.block_on(eval::confidences(&args.set, &args.results, term));
    runtime.shutdown_background();
    let read = read?;
    if read.calibrated {
        return Err(Failure::new(Exit::Usage, "the server's confidence is calibrated already")
            .remedy("a server of the same model without its calibration.json"));
    }
    let (calibration, fitted) = calibrate(args.method, read);
    let json = serde_json::to_string_pretty(&calibration)
        .map_err(|error| Failure::new(Exit::Failed, "cannot write a curve").because(&error))?;
    let write = |path: &Path, content: &str| {
        std::fs::write(path, content).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write {}", path.display()))
                .because(&error)
                .remedy("another --out FILE")
        })
    };
    write(&args.out, &format!("{json}\n"))?;
    let diagram = args.results.join("reliability.svg");
    write(&diagram, &diagram_of(&fitted).svg())?;
    print(&table(&fitted))?;
    print(&format!("\n  {}\n  {}", args.out.display(), diagram.display()))?;
    Ok(())
}

fn calibrate(ask: Ask, read: eval::Confidences) -> (Calibration, Vec<Fitted>) {
    let mut by_kind: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for Confident { kind, point } in read.values {
        by_kind.entry(kind).or_default().push(point);
    }
    let (own, shared): (Vec<_>, Vec<_>) =
        by_kind.into_iter().partition(|(_, points)| points.len() >= VALUES_MIN);
    let rest: Vec<Point> = shared.into_iter().flat_map(|(_, points)| points).collect();
    let groups = own.into_iter().chain((!rest.is_empty()).then(|| (OTHER_KINDS.to_owned(), rest)));
    let mut kinds = BTreeMap::new();
    let mut all = Vec::new();
    for (kind, points) in groups {
        let method = match ask {
            Ask::Auto => best(&points),
            Ask::Temperature => Some(Method::Temperature),
            Ask::Isotonic => Some(Method::Isotonic),
        };
        let before: Vec<(f64, bool)> =
            points.iter().map(|point| (point.confidence, point.is_right)).collect();
        let after = method.map_or_else(|| before.clone(), |method| unseen(method, &points));
        if let Some(method) = method {
            kinds.insert(kind.clone(), fit(method, &points));
        }
        all.push(Fitted { kind, method, before, after });
    }
    let calibration = Calibration {
        format: CALIBRATION_FORMAT,
        revision: read.revision,
        documents: read.documents,
        kinds,
    };
    (calibration, all)
}

fn table(fitted: &[Fitted]) -> String {
    let mut out = "| kind | values | right | curve | ECE before | after | Brier before | after |\n\
                   |---|---:|---:|---|---:|---:|---:|---:|\n"
        .to_owned();
    let mut row = |kind: &str, curve: &str, before: &[(f64, bool)], after: &[(f64, bool)]| {
        let (Some(before), Some(after)) = (reliability(before), reliability(after)) else { return };
        let right = before.bins.iter().map(|bin| bin.accuracy * bin.count as f64).sum::<f64>();
        let right = right / before.values as f64 * 100.0;
        let _ = writeln!(
            out,
            "| {kind} | {} | {right:.1} % | {curve} | {:.4} | {:.4} | {:.4} | {:.4} |",
            before.values, before.ece, after.ece, before.brier, after.brier
        );
    };
    for one in fitted {
        let curve = match one.method {
            None => "as it is",
            Some(Method::Temperature) => "temperature",
            Some(Method::Isotonic) => "isotonic",
        };
        row(&one.kind, curve, &one.before, &one.after);
    }
    let all = |of: fn(&Fitted) -> &Vec<(f64, bool)>| -> Vec<(f64, bool)> {
        fitted.iter().flat_map(of).copied().collect()
    };
    row("all", "", &all(|one| &one.before), &all(|one| &one.after));
    out.trim_end().to_owned()
}

fn diagram_of(fitted: &[Fitted]) -> chart::Chart {
    let all = |of: fn(&Fitted) -> &Vec<(f64, bool)>| -> Option<Reliability> {
        reliability(&fitted.iter().flat_map(of).copied().collect::<Vec<_>>())
    };
    let mut diagram = chart::Chart {
        title: "Confidence before and after, on unseen documents".to_owned(),
        x_label: "confidence, %".to_owned(),
        y_label: "right, %".to_owned(),
        x_range: Some((0.0, 101.0)),
        y_range: Some((0.0, 104.0)),
        ..chart::Chart::default()
    };
    for (name, found) in [("before", all(|one| &one.before)), ("after", all(|one| &one.after))] {
        let Some(found) = found else { continue };
        let bins = found.bins.iter().map(|bin| (bin.confidence * 100.0, bin.accuracy * 100.0));
        let name = format!("{name}: ECE {:.3}", found.ece);
        diagram.series.push(chart::Series::new(name, chart::Marks::Line, bins.collect()));
    }
    let ideal = vec![(0.0, 0.0), (100.0, 100.0)];
    diagram.series.push(chart::Series::new("as it should be", chart::Marks::Guide, ideal));
    diagram
}
