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
use crate::accuracy::{
    Checked, Method, Point, Reliability, best, evidence, fit, reliability, unseen,
    unseen_with_evidence,
};
use crate::fields::{
    CALIBRATION_FILE, CALIBRATION_FORMAT, Calibration, Evidence, OTHER_KINDS, Rule,
};

/// Values of a kind below which it has no curve of its own.
const VALUES_MIN: usize = 100;

const AFTER_HELP: &str = "\
Reads the labelled set as `tessera eval` does, into --results, and fits a curve for each kind of value
that has enough of them; the others share one. A method is used only where it predicts documents that it
has not seen better than the confidence as it is. The same goes for checks of values against one
another: how much each raises or lowers confidence is learnt, or it counts for nothing. The figures
before and after are of such documents.

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

/// Confidences, each with whether the value was right.
type Judged = Vec<(f64, bool)>;

/// What was fitted to one kind of value.
#[derive(Debug)]
struct Fitted {
    kind: String,
    method: Option<Method>,
    before: Judged,
    /// By curves and evidence of other documents.
    after: Vec<Value>,
}

/// A value, once its curve has said how sure it is.
#[derive(Debug)]
struct Value {
    point: Point,
    checks: Vec<(Rule, bool)>,
}

/// What was learnt about one check.
#[derive(Debug)]
struct Learnt {
    rule: Rule,
    passed: usize,
    failed: usize,
    /// None where it says nothing that the confidence does not.
    evidence: Option<Evidence>,
}

pub(super) fn run(args: &CalibrateArgs, term: &Term) -> Result<(), Failure> {
    let runtime = runtime()?;
    let read = runtime.block_on(eval::confidences(&args.set, &args.results, term));
    runtime.shutdown_background();
    let (calibration, fitted, learnt) = calibrate(args.method, read?);
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
    print(&format!("\n{}", checks_table(&learnt)))?;
    print(&format!("\n  {}\n  {}", args.out.display(), diagram.display()))?;
    Ok(())
}

fn calibrate(ask: Ask, read: eval::Confidences) -> (Calibration, Vec<Fitted>, Vec<Learnt>) {
    let mut by_kind: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for Confident { kind, point, checks } in read.values {
        by_kind.entry(kind).or_default().push(Value { point, checks });
    }
    let (own, shared): (Vec<_>, Vec<_>) =
        by_kind.into_iter().partition(|(_, values)| values.len() >= VALUES_MIN);
    let rest: Vec<Value> = shared.into_iter().flat_map(|(_, values)| values).collect();
    let groups = own.into_iter().chain((!rest.is_empty()).then(|| (OTHER_KINDS.to_owned(), rest)));
    let mut kinds = BTreeMap::new();
    let mut all = Vec::new();
    for (kind, mut values) in groups {
        let points: Vec<Point> = values.iter().map(|value| value.point).collect();
        let method = match ask {
            Ask::Auto => best(&points),
            Ask::Temperature => Some(Method::Temperature),
            Ask::Isotonic => Some(Method::Isotonic),
        };
        let before: Judged =
            points.iter().map(|point| (point.confidence, point.is_right)).collect();
        if let Some(method) = method {
            for (value, (confidence, _)) in values.iter_mut().zip(unseen(method, &points)) {
                value.point.confidence = confidence;
            }
            kinds.insert(kind.clone(), fit(method, &points));
        }
        all.push(Fitted { kind, method, before, after: values });
    }
    let learnt: Vec<Learnt> = Rule::ALL.into_iter().map(|rule| learn(rule, &mut all)).collect();
    let checks = learnt
        .iter()
        .filter_map(|learnt| Some((learnt.rule.name().to_owned(), learnt.evidence?)))
        .collect();
    let calibration = Calibration {
        format: CALIBRATION_FORMAT,
        revision: read.revision,
        documents: read.documents,
        kinds,
        checks,
    };
    (calibration, all, learnt)
}

/// What `rule` says about values that its checks looked at; they get the confidence that follows.
fn learn(rule: Rule, fitted: &mut [Fitted]) -> Learnt {
    let outcome = |value: &Value| {
        value.checks.iter().find(|(known, _)| *known == rule).map(|(_, passed)| *passed)
    };
    let mut values: Vec<(Checked, &mut Value)> = fitted
        .iter_mut()
        .flat_map(|one| &mut one.after)
        .filter_map(|value| Some((Checked { point: value.point, passed: outcome(value)? }, value)))
        .collect();
    let checked: Vec<Checked> = values.iter().map(|(checked, _)| *checked).collect();
    let passed = checked.iter().filter(|value| value.passed).count();
    let unseen = unseen_with_evidence(&checked);
    for ((_, value), confidence) in values.iter_mut().zip(unseen.iter().flatten()) {
        value.point.confidence = *confidence;
    }
    let evidence = unseen.is_some().then(|| evidence(&checked));
    Learnt { rule, passed, failed: checked.len() - passed, evidence }
}

fn checks_table(learnt: &[Learnt]) -> String {
    let mut out = "| check | values that pass | doubt times | that fail | confidence times |\n\
                   |---|---:|---:|---:|---:|\n"
        .to_owned();
    for Learnt { rule, passed, failed, evidence } in learnt {
        let [doubt, confidence] = evidence.map_or_else(
            || ["as it is", "as it is"].map(str::to_owned),
            |evidence| [evidence.passed, evidence.failed].map(|times| format!("{times:.3}")),
        );
        let _ = writeln!(out, "| {} | {passed} | {doubt} | {failed} | {confidence} |", rule.name());
    }
    out.trim_end().to_owned()
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
        row(&one.kind, curve, &one.before, &one.after());
    }
    let (before, after) = both(fitted);
    row("all", "", &before, &after);
    out.trim_end().to_owned()
}

impl Fitted {
    fn after(&self) -> Judged {
        self.after.iter().map(|value| (value.point.confidence, value.point.is_right)).collect()
    }
}

/// Of all kinds, before and after.
fn both(fitted: &[Fitted]) -> (Judged, Judged) {
    let before = fitted.iter().flat_map(|one| one.before.clone()).collect();
    (before, fitted.iter().flat_map(Fitted::after).collect())
}

fn diagram_of(fitted: &[Fitted]) -> chart::Chart {
    let (before, after) = both(fitted);
    let found: [(&str, Option<Reliability>); 2] =
        [("before", reliability(&before)), ("after", reliability(&after))];
    let mut diagram = chart::Chart {
        title: "Confidence before and after, on unseen documents".to_owned(),
        x_label: "confidence, %".to_owned(),
        y_label: "right, %".to_owned(),
        x_range: Some((0.0, 101.0)),
        y_range: Some((0.0, 104.0)),
        ..chart::Chart::default()
    };
    for (name, found) in found {
        let Some(found) = found else { continue };
        let bins = found.bins.iter().map(|bin| (bin.confidence * 100.0, bin.accuracy * 100.0));
        let name = format!("{name}: ECE {:.3}", found.ece);
        diagram.series.push(chart::Series::new(name, chart::Marks::Line, bins.collect()));
    }
    let ideal = vec![(0.0, 0.0), (100.0, 100.0)];
    diagram.series.push(chart::Series::new("as it should be", chart::Marks::Guide, ideal));
    diagram
}
