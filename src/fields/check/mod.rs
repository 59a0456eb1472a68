//! Whether the values of one document agree with one another. A check looks at normalised values, says
//! what it found, and changes nothing; one whose values are not all there is not made.

use serde::{Deserialize, Serialize};

use super::{Normal, Normals};
use bill::{abn_checksum, gst_share, line_items_sum};
use statement::{balance, date_order};

mod amount;
mod bill;
mod statement;
#[cfg(test)]
mod tests;

/// Rounding to cents, once for each sum and once for the tax.
const CENTS_APART_MAX: i128 = 2;

/// Lists with an item for each line of a bill.
const LINE_ITEMS: &[&str] = &[
    "LINE_ITEM_DESCRIPTIONS",
    "LINE_ITEM_QUANTITIES",
    "LINE_ITEM_PRICES",
    "LINE_ITEM_TOTAL_PRICES",
];

/// Lists with an item for each transaction of a statement.
const TRANSACTIONS: &[&str] = &[
    "TRANSACTION_DATES",
    "TRANSACTION_DESCRIPTIONS",
    "TRANSACTION_AMOUNTS_PAID",
    "TRANSACTION_AMOUNTS_RECEIVED",
];

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The check digits of an Australian Business Number.
    AbnChecksum,
    /// The line items add up to the total, with or without the tax on top.
    LineItemsSum,
    /// The tax is at most one eleventh of the total: 10 % of all goods, or of some.
    GstShare,
    /// A range of dates ends after it begins, and what happened in it has its dates.
    DateOrder,
    /// Balances follow from what was paid and received.
    Balance,
    /// Lists of one table have an item for each of its rows.
    ListLengths,
}

/// What a check says about the values that it looked at, beside how sure the model was of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Where it agrees, the doubt about each value is multiplied by it.
    pub passed: f64,
    /// Where it does not, the confidence in each value is multiplied by it.
    pub failed: f64,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub rule: Rule,
    /// Names of the fields that it looked at.
    pub fields: Vec<&'static str>,
    /// What does not agree, for people; none where all does.
    pub problem: Option<String>,
}

/// All checks that can be made.
pub fn check(normals: &Normals) -> Vec<Check> {
    let mut checks: Vec<Check> = [abn_checksum, line_items_sum, gst_share, date_order, balance]
        .into_iter()
        .filter_map(|check| check(normals))
        .collect();
    checks
        .extend([LINE_ITEMS, TRANSACTIONS].into_iter().filter_map(|of| list_lengths(normals, of)));
    checks
}

// === impl Rule ===

impl Rule {
    pub const ALL: [Self; 6] = [
        Self::AbnChecksum,
        Self::LineItemsSum,
        Self::GstShare,
        Self::DateOrder,
        Self::Balance,
        Self::ListLengths,
    ];

    /// As the API and a calibration name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AbnChecksum => "ABN_CHECKSUM",
            Self::LineItemsSum => "LINE_ITEMS_SUM",
            Self::GstShare => "GST_SHARE",
            Self::DateOrder => "DATE_ORDER",
            Self::Balance => "BALANCE",
            Self::ListLengths => "LIST_LENGTHS",
        }
    }

    /// What it says where no calibration knows better: half the doubt where values meet that hardly
    /// meet by chance, and half the confidence where they do not. Most misread values, too, are in the
    /// bounds that the other rules set: being there says nothing.
    pub fn evidence(self) -> Evidence {
        let passed = match self {
            Self::AbnChecksum | Self::LineItemsSum | Self::Balance => 0.5,
            Self::GstShare | Self::DateOrder | Self::ListLengths => 1.0,
        };
        Evidence { passed, failed: 0.5 }
    }
}

// === impl Check ===

impl Check {
    pub fn passed(&self) -> bool {
        self.problem.is_none()
    }

    /// Whether it looked at the value at `pointer`, or at the list that it is an item of.
    pub fn looked_at(&self, pointer: &str) -> bool {
        let name = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
        self.fields.contains(&name)
    }
}

// === impl Evidence ===

impl Evidence {
    /// A confidence after a check that `passed`, or did not.
    pub fn weigh(self, confidence: f64, passed: bool) -> f64 {
        if passed { 1.0 - (1.0 - confidence) * self.passed } else { confidence * self.failed }
    }

    /// Whether both are shares: a check that passes never lowers, one that fails never raises.
    pub(super) fn is_sound(self) -> bool {
        [self.passed, self.failed].iter().all(|share| (0.0..=1.0).contains(share))
    }
}

fn list_lengths(normals: &Normals, names: &[&'static str]) -> Option<Check> {
    let length = |name: &&'static str| match normals.get(*name) {
        Some(Normal::List(items)) => Some((*name, items.len())),
        _ => None,
    };
    let lengths: Vec<(&'static str, usize)> = names.iter().filter_map(length).collect();
    let (first, rows) = *lengths.first().filter(|_| lengths.len() > 1)?;
    let other = lengths.iter().find(|(_, length)| *length != rows);
    let problem =
        other.map(|(name, length)| format!("{first} has {rows} items, {name} has {length}"));
    let fields = lengths.into_iter().map(|(name, _)| name).collect();
    Some(Check { rule: Rule::ListLengths, fields, problem })
}
