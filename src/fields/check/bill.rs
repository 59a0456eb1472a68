//! Checks of receipts and invoices: the business's number, the sum of the line items, the tax.

use super::amount::{amount, cents, near, shown, text};
use super::{CENTS_APART_MAX, Check, Rule};
use crate::fields::{Normal, Normals};

pub(super) fn abn_checksum(normals: &Normals) -> Option<Check> {
    const WEIGHTS: [u32; 11] = [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19];
    let abn = text(normals, "BUSINESS_ABN")?;
    let digits: Vec<u32> = abn.chars().filter_map(|c| c.to_digit(10)).collect();
    // The first digit counts one less.
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let right =
        digits.len() == WEIGHTS.len() && digits[0] > 0 && (sum - WEIGHTS[0]).is_multiple_of(89);
    let problem = (!right).then(|| format!("{abn} is no ABN: its check digits are wrong"));
    Some(Check { rule: Rule::AbnChecksum, fields: vec!["BUSINESS_ABN"], problem })
}

pub(super) fn line_items_sum(normals: &Normals) -> Option<Check> {
    let total = cents(text(normals, "TOTAL_AMOUNT")?)?;
    let Some(Normal::List(items)) = normals.get("LINE_ITEM_TOTAL_PRICES") else { return None };
    if items.is_empty() {
        return None;
    }
    let sum: i128 = items.iter().map(amount).sum::<Option<i128>>()?;
    let gst = text(normals, "GST_AMOUNT").and_then(cents);
    let mut fields = vec!["LINE_ITEM_TOTAL_PRICES", "TOTAL_AMOUNT"];
    fields.extend(gst.map(|_| "GST_AMOUNT"));
    let right = [0, gst.unwrap_or(0)].iter().any(|tax| near(sum + tax, total));
    let problem = (!right).then(|| {
        let count = items.len();
        format!("{count} line items add up to {}, the total is {}", shown(sum), shown(total))
    });
    Some(Check { rule: Rule::LineItemsSum, fields, problem })
}

pub(super) fn gst_share(normals: &Normals) -> Option<Check> {
    let total = cents(text(normals, "TOTAL_AMOUNT")?)?;
    let gst = cents(text(normals, "GST_AMOUNT")?)?;
    // A refund has both below zero.
    let right = gst * total >= 0 && gst.abs() * 11 <= (total.abs() + 11 * CENTS_APART_MAX);
    let problem = (!right).then(|| {
        format!("GST of {} is more than one eleventh of the total, {}", shown(gst), shown(total))
    });
    Some(Check { rule: Rule::GstShare, fields: vec!["GST_AMOUNT", "TOTAL_AMOUNT"], problem })
}
