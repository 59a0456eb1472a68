//! How right an answer is: ground truth, the scorers that compare a field with it, the statistics of
//! many, and how well confidence foretells them. Pure: texts and numbers in, numbers out.
//!
//! Two rules stand above every scorer. A document that failed scores 0 in all its fields. A field that
//! the answer does not have scores 0, also where the page does not have it: only an answer that says
//! so is right.

mod anls;
mod fit;
mod guide;
mod list;
mod paired;
mod reliability;
mod score;
mod strict;
mod truth;

pub use fit::{Checked, Method, Point, best, evidence, fit, unseen, unseen_with_evidence};
pub use paired::{Bootstrap, McNemar, bootstrap, mcnemar};
pub use reliability::{Bin, Reliability, reliability};
pub use score::{FieldScores, Scorer, field_scores};
pub use truth::{Truth, TruthError, from_csv, from_json, from_jsonl};

/// How truth and answers say that the page does not have a value.
pub const ABSENT: &str = "NOT_FOUND";

/// Between the items of a list in one text.
const SEPARATOR: &str = "|";

/// Whether `value` says that there is none.
fn is_absent(value: &str) -> bool {
    value.trim() == ABSENT
}

/// The items of a list in one text; none where the page does not have it.
fn items(value: &str) -> Vec<&str> {
    if is_absent(value) { Vec::new() } else { value.split(SEPARATOR).map(str::trim).collect() }
}
