//! The built-in kinds of document: what is on them, and how the answer writes it.
//!
//! Values are strings as the page has them, lists are one string with bars, and `NOT_FOUND` stands
//! for what is absent: the form of the guide's pipeline, and what `tessera-tiny` was trained to
//! write. Names are the pipeline's but for one: it has a statement's descriptions in
//! `LINE_ITEM_DESCRIPTIONS`, which are another thing on receipts.

use serde_json::Value;

use super::{Absent, Kind, Printed, Property};
use crate::limits;

/// A kind of document whose fields are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    Receipt,
    Invoice,
    BankStatement,
}

/// Receipts and invoices have the same fields.
const SALE: &[(&str, Form)] = &[
    ("DOCUMENT_TYPE", Form::Kind),
    ("BUSINESS_ABN", Form::One(Printed::Abn)),
    ("SUPPLIER_NAME", Form::Text),
    ("BUSINESS_ADDRESS", Form::Text),
    ("PAYER_NAME", Form::Text),
    ("PAYER_ADDRESS", Form::Text),
    ("INVOICE_DATE", Form::One(Printed::Date)),
    ("LINE_ITEM_DESCRIPTIONS", Form::Texts),
    ("LINE_ITEM_QUANTITIES", Form::Many(Printed::Quantity)),
    ("LINE_ITEM_PRICES", Form::Many(Printed::Money)),
    ("LINE_ITEM_TOTAL_PRICES", Form::Many(Printed::Money)),
    ("IS_GST_INCLUDED", Form::One(Printed::Boolean)),
    ("GST_AMOUNT", Form::One(Printed::Money)),
    ("TOTAL_AMOUNT", Form::One(Printed::Money)),
];

const STATEMENT: &[(&str, Form)] = &[
    ("DOCUMENT_TYPE", Form::Kind),
    ("STATEMENT_DATE_RANGE", Form::One(Printed::DateRange)),
    ("TRANSACTION_DATES", Form::Many(Printed::Date)),
    ("TRANSACTION_DESCRIPTIONS", Form::Texts),
    ("TRANSACTION_AMOUNTS_PAID", Form::Many(Printed::Money)),
    ("TRANSACTION_AMOUNTS_RECEIVED", Form::Many(Printed::Money)),
    ("ACCOUNT_BALANCE", Form::One(Printed::Money)),
];

/// How a built-in field is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Kind,
    Text,
    Texts,
    One(Printed),
    Many(Printed),
}

// === impl DocumentKind ===

impl DocumentKind {
    pub const ALL: [Self; 3] = [Self::Receipt, Self::Invoice, Self::BankStatement];

    /// As the answer, files and options have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Invoice => "invoice",
            Self::BankStatement => "bank_statement",
        }
    }

    /// As a sentence has it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Invoice => "invoice",
            Self::BankStatement => "bank statement",
        }
    }

    /// The kind that `name` is, however it is written: `BANK STATEMENT`.
    pub fn from_name(name: &str) -> Option<Self> {
        let plain = name.trim().to_lowercase().replace([' ', '-'], "_");
        Self::ALL.into_iter().find(|kind| kind.name() == plain)
    }

    /// Names of the fields, in the order in which they are asked for.
    pub fn fields(self) -> impl Iterator<Item = &'static str> {
        forms(self).iter().map(|(name, _)| *name)
    }
}

fn forms(document: DocumentKind) -> &'static [(&'static str, Form)] {
    match document {
        DocumentKind::Receipt | DocumentKind::Invoice => SALE,
        DocumentKind::BankStatement => STATEMENT,
    }
}

pub(super) fn properties(document: DocumentKind) -> Vec<Property> {
    let property = |&(name, form): &(&str, Form)| Property::new(name, kind(form), Absent::NotFound);
    forms(document).iter().map(property).collect()
}

fn kind(form: Form) -> Kind {
    let joined =
        |item| Kind::Joined { item: Box::new(item), items_max: limits::LIST_ITEMS_DEFAULT };
    match form {
        // Of all kinds: the page may be another one than was asked for.
        Form::Kind => Kind::Choice(DocumentKind::ALL.map(|kind| Value::from(kind.name())).to_vec()),
        Form::Text => Kind::TEXT,
        Form::Texts => joined(Kind::Text { chars_min: 0, chars_max: limits::ITEM_CHARS_MAX }),
        Form::One(printed) => Kind::Printed(printed),
        Form::Many(printed) => joined(Kind::Printed(printed)),
    }
}
