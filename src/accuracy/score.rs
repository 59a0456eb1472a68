//! All scorers of one field.

use serde::{Deserialize, Serialize};

use super::{anls, guide, items, list, strict};
use crate::fields;

/// A way to compare an answer's field with its truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scorer {
    /// Character for character.
    Exact,
    /// The same value, whatever its form.
    Strict,
    /// The batch notebook's document evaluator.
    Guide,
    /// The batch notebook's field accuracy.
    GuideAccuracy,
    /// Similarity of letters.
    Anls,
    /// F1 of a list's items, in order. Fields that are no lists have none.
    ListF1,
}

/// What each scorer says of one field, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FieldScores {
    pub exact: f64,
    pub strict: f64,
    pub guide: f64,
    pub guide_accuracy: f64,
    pub anls: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list_f1: Option<f64>,
}

impl Scorer {
    pub const ALL: [Self; 6] =
        [Self::Exact, Self::Strict, Self::Guide, Self::GuideAccuracy, Self::Anls, Self::ListF1];

    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Strict => "strict",
            Self::Guide => "guide",
            Self::GuideAccuracy => "guide_accuracy",
            Self::Anls => "anls",
            Self::ListF1 => "list_f1",
        }
    }
}

impl FieldScores {
    pub fn get(&self, scorer: Scorer) -> Option<f64> {
        match scorer {
            Scorer::Exact => Some(self.exact),
            Scorer::Strict => Some(self.strict),
            Scorer::Guide => Some(self.guide),
            Scorer::GuideAccuracy => Some(self.guide_accuracy),
            Scorer::Anls => Some(self.anls),
            Scorer::ListF1 => self.list_f1,
        }
    }

    /// Whether the value is right.
    pub fn is_right(&self) -> bool {
        self.strict > 0.5
    }
}

/// Scores of the field `name`, whose value is `truth`; `found` is none where the answer does not have
/// it, or there is no answer.
pub fn field_scores(name: &str, truth: &str, found: Option<&str>) -> FieldScores {
    let is_list = fields::is_list(name);
    let Some(found) = found else {
        let list_f1 = is_list.then_some(0.0);
        return FieldScores {
            exact: 0.0,
            strict: 0.0,
            guide: 0.0,
            guide_accuracy: 0.0,
            anls: 0.0,
            list_f1,
        };
    };
    let sure = |is: bool| f64::from(u8::from(is));
    FieldScores {
        exact: sure(truth == found),
        strict: sure(strict::equal(name, truth, found)),
        guide: guide::evaluator(truth, found),
        guide_accuracy: guide::accuracy(name, truth, found),
        anls: anls::similarity(name, truth, found),
        list_f1: is_list.then(|| list_f1(name, truth, found)),
    }
}

fn list_f1(name: &str, truth: &str, found: &str) -> f64 {
    let (truth, found) = (items(truth), items(found));
    let equal =
        |i: usize, j: usize| f64::from(u8::from(strict::equal_items(name, truth[i], found[j])));
    list::f1(list::align(truth.len(), found.len(), &equal), truth.len(), found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_right() {
        let scores = field_scores("PAYER_NAME", "NOT_FOUND", None);
        for scorer in Scorer::ALL {
            assert!(scores.get(scorer).unwrap_or(0.0).abs() < 1e-9, "{scorer:?}");
        }
        let said = field_scores("PAYER_NAME", "NOT_FOUND", Some("NOT_FOUND"));
        assert!(said.is_right() && said.guide > 0.9 && said.exact > 0.9);
    }

    #[test]
    fn gibberish_is_worth_nothing_to_strict_scorers() {
        let scores = field_scores("TOTAL_AMOUNT", "$5.00", Some("!!!!!!!!"));
        assert!(
            scores.exact + scores.strict + scores.anls + scores.guide_accuracy < 1e-9,
            "{scores:?}"
        );
    }

    #[test]
    fn a_list_with_a_lost_item_is_wrong_but_worth_something() {
        let scores = field_scores("LINE_ITEM_PRICES", "$1.00 | 2.00 | 3.00", Some("1.00 | 3.00"));
        assert!(!scores.is_right());
        assert!((scores.list_f1.unwrap() - 0.8).abs() < 1e-9, "{scores:?}");
        assert!(field_scores("TOTAL_AMOUNT", "1", Some("1")).list_f1.is_none());
    }
}
