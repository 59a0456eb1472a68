//! A server without a model, for load tests and clients' tests: real requests, pages, prompts and streams,
//! and answers that are known beforehand, at the pace of a model that is not there.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::checkpoint::Checkpoint;
use crate::config::RequestConfig;
use crate::model::fake::{Fake, Options, Pace, Script};
use crate::model::internvl;
use crate::model::{BLOCK_TOKENS, ModelSpec, pool_blocks};
use crate::prompt::Prompter;
use crate::schema::DocumentKind;

/// What the fake reads on every page: values of the built-in fields that agree with one another. Kept by
/// `clients/conformance`.
const VALUES: [(&str, &str); 19] = [
    ("BUSINESS_ABN", "51 824 753 556"),
    ("SUPPLIER_NAME", "Fake \"Stationery\" Pty Ltd ☺"),
    ("BUSINESS_ADDRESS", "1 Example Street, Canberra"),
    ("PAYER_NAME", "NOT_FOUND"),
    ("PAYER_ADDRESS", "NOT_FOUND"),
    ("INVOICE_DATE", "11 Dec 2017"),
    ("LINE_ITEM_DESCRIPTIONS", "Paper A4 | Pen"),
    ("LINE_ITEM_QUANTITIES", "2 | 5"),
    ("LINE_ITEM_PRICES", "8.00 | 2.80"),
    ("LINE_ITEM_TOTAL_PRICES", "16.00 | 14.00"),
    ("IS_GST_INCLUDED", "true"),
    ("GST_AMOUNT", "$2.73"),
    ("TOTAL_AMOUNT", "$30.00"),
    ("STATEMENT_DATE_RANGE", "01 May 2014-27 May 2014"),
    ("TRANSACTION_DATES", "04 May 14 | 08 May 14"),
    ("TRANSACTION_DESCRIPTIONS", "BANKS | SALARY"),
    ("TRANSACTION_AMOUNTS_PAID", "-4.00 | NOT_FOUND"),
    ("TRANSACTION_AMOUNTS_RECEIVED", "NOT_FOUND | 172.20"),
    ("ACCOUNT_BALANCE", "168.20 CR"),
];

/// The answer to a question without fields.
const FREE: &str = "There is no model here, and this is what it says to every question.";

/// In the shape of `architecture`, as far as the engine sees it.
pub(super) fn runner(
    checkpoint: &Checkpoint,
    architecture: &internvl::Config,
    prompter: &Arc<Prompter>,
    requests: &RequestConfig,
    pace: Pace,
) -> Fake {
    let slot_tokens = requests.slot_tokens.min(architecture.text.positions_max);
    let spec = ModelSpec {
        name: checkpoint.name(),
        revision: "fake".to_owned(),
        vocab_size: architecture.text.vocab_size,
        tokens_per_tile: architecture.tokens_per_tile(),
        tile_size_px: architecture.vision.image_size as u32,
        image_token_id: prompter.image_token_id(),
        slots: requests.slots,
        slot_tokens,
        kv_blocks: pool_blocks(requests.slots, slot_tokens, requests.kv_tokens),
        block_tokens: BLOCK_TOKENS,
        ..Options::default().spec
    };
    Fake::new(Options {
        script: script(prompter),
        spec,
        step_delay: pace.step,
        token_delay: pace.token,
        tile_delay: pace.tile,
        looks_at: None,
        begins_ahead: true,
    })
}

/// Reads the prompt as text, answers in text, and ends as a model does.
fn script(prompter: &Arc<Prompter>) -> Script {
    let prompter = Arc::clone(prompter);
    Script::Of(Arc::new(move |prompt| {
        let bytes: Vec<u8> =
            prompt.iter().flat_map(|&id| prompter.token_bytes(id)).copied().collect();
        let answer = answer(&String::from_utf8_lossy(&bytes));
        let mut tokens = prompter.encode(&answer).unwrap_or_default();
        tokens.extend(prompter.stop_ids().first());
        tokens
    }))
}

/// The answer to a question for fields, for the kind of a document, or for anything else.
fn answer(prompt: &str) -> String {
    let kind = DocumentKind::ALL
        .into_iter()
        .find(|kind| prompt.contains(&format!("this {}", kind.noun())))
        .unwrap_or(DocumentKind::Receipt);
    let mut document = Map::new();
    let words = prompt.split(|c: char| c != '_' && !c.is_ascii_uppercase());
    for word in words {
        if word == "DOCUMENT_TYPE" {
            document.insert(word.to_owned(), Value::from(kind.name()));
        } else if let Some((name, value)) = VALUES.iter().find(|(name, _)| *name == word) {
            document.insert((*name).to_owned(), Value::from(*value));
        }
    }
    if !document.is_empty() {
        return spelt(&document);
    }
    let asks_for_the_kind = DocumentKind::ALL.iter().all(|kind| prompt.contains(kind.name()));
    if asks_for_the_kind { kind.name() } else { FREE }.to_owned()
}

/// As the built-in models write JSON: one space after each colon and comma.
fn spelt(document: &Map<String, Value>) -> String {
    let members: Vec<String> = document
        .iter()
        .map(|(name, value)| format!("{}: {value}", Value::from(name.as_str())))
        .collect();
    format!("{{{}}}", members.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_what_was_asked_for() {
        let sale = "Extract the fields of this invoice as JSON: DOCUMENT_TYPE, INVOICE_DATE, TOTAL_AMOUNT.";
        let expected = r#"{"DOCUMENT_TYPE": "invoice", "INVOICE_DATE": "11 Dec 2017", "TOTAL_AMOUNT": "$30.00"}"#;
        assert_eq!(answer(sale), expected);
        assert_eq!(answer("What type? Answer receipt, invoice or bank_statement."), "receipt");
        assert_eq!(answer("Who sent this?"), FREE);
        // Every built-in field has its value.
        for kind in DocumentKind::ALL {
            for name in kind.fields().filter(|name| *name != "DOCUMENT_TYPE") {
                assert!(VALUES.iter().any(|(known, _)| *known == name), "{name}");
            }
        }
    }
}
