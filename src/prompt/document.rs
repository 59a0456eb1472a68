//! The built-in kinds of document: their fields, and the question that asks for them.

/// A kind of document whose fields are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    Receipt,
    Invoice,
    BankStatement,
}

/// Receipts and invoices have the same fields.
const SALE_FIELDS: &[&str] = &[
    "DOCUMENT_TYPE",
    "BUSINESS_ABN",
    "SUPPLIER_NAME",
    "BUSINESS_ADDRESS",
    "PAYER_NAME",
    "PAYER_ADDRESS",
    "INVOICE_DATE",
    "LINE_ITEM_DESCRIPTIONS",
    "LINE_ITEM_QUANTITIES",
    "LINE_ITEM_PRICES",
    "LINE_ITEM_TOTAL_PRICES",
    "IS_GST_INCLUDED",
    "GST_AMOUNT",
    "TOTAL_AMOUNT",
];

const STATEMENT_FIELDS: &[&str] = &[
    "DOCUMENT_TYPE",
    "STATEMENT_DATE_RANGE",
    "TRANSACTION_DATES",
    "TRANSACTION_DESCRIPTIONS",
    "TRANSACTION_AMOUNTS_PAID",
    "TRANSACTION_AMOUNTS_RECEIVED",
    "ACCOUNT_BALANCE",
];

// === impl DocumentKind ===

impl DocumentKind {
    pub const ALL: [Self; 3] = [Self::Receipt, Self::Invoice, Self::BankStatement];

    /// Names of the fields, in the order in which they are asked for.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Receipt | Self::Invoice => SALE_FIELDS,
            Self::BankStatement => STATEMENT_FIELDS,
        }
    }

    /// What to ask of a page of this kind; `instructions`, if any, follow the question.
    pub fn question(self, instructions: &str) -> String {
        let noun = self.noun();
        let fields = self.fields().join(", ");
        let mut question = format!(
            "Extract the fields of this {noun} as JSON: {fields}. Write NOT_FOUND for what is absent."
        );
        if !instructions.is_empty() {
            question.push(' ');
            question.push_str(instructions);
        }
        question
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Invoice => "invoice",
            Self::BankStatement => "bank statement",
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn questions() {
        let questions: Vec<String> =
            DocumentKind::ALL.iter().map(|kind| kind.question("")).collect();
        expect![[r"
            Extract the fields of this receipt as JSON: DOCUMENT_TYPE, BUSINESS_ABN, SUPPLIER_NAME, BUSINESS_ADDRESS, PAYER_NAME, PAYER_ADDRESS, INVOICE_DATE, LINE_ITEM_DESCRIPTIONS, LINE_ITEM_QUANTITIES, LINE_ITEM_PRICES, LINE_ITEM_TOTAL_PRICES, IS_GST_INCLUDED, GST_AMOUNT, TOTAL_AMOUNT. Write NOT_FOUND for what is absent.
            Extract the fields of this invoice as JSON: DOCUMENT_TYPE, BUSINESS_ABN, SUPPLIER_NAME, BUSINESS_ADDRESS, PAYER_NAME, PAYER_ADDRESS, INVOICE_DATE, LINE_ITEM_DESCRIPTIONS, LINE_ITEM_QUANTITIES, LINE_ITEM_PRICES, LINE_ITEM_TOTAL_PRICES, IS_GST_INCLUDED, GST_AMOUNT, TOTAL_AMOUNT. Write NOT_FOUND for what is absent.
            Extract the fields of this bank statement as JSON: DOCUMENT_TYPE, STATEMENT_DATE_RANGE, TRANSACTION_DATES, TRANSACTION_DESCRIPTIONS, TRANSACTION_AMOUNTS_PAID, TRANSACTION_AMOUNTS_RECEIVED, ACCOUNT_BALANCE. Write NOT_FOUND for what is absent."]]
        .assert_eq(&questions.join("\n"));
    }

    #[test]
    fn instructions_follow_after_a_space() {
        let question = DocumentKind::Receipt.question("Dates as DD/MM/YYYY.");
        assert!(question.ends_with("Write NOT_FOUND for what is absent. Dates as DD/MM/YYYY."));
    }
}
