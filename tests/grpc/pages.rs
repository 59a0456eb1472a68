//! Pages of a document: which of a file are read, and which of them a value is from.

use tessera::pb::v1;
use tessera::pb::v1::PageEvidence;
use tessera::pb::v1::extract_response::Event;
use tonic::Code;

use crate::support::{
    Setup, assert_failure, collect, completed, fields as violations, file, open, receipt, refuse,
};

const ANSWER: &str =
    r#"{"SUPPLIER_NAME": "ACME Pty Ltd", "ITEMS": [{"PRICE": 1.50}], "TOTAL_AMOUNT": "$1.50"}"#;

/// Two pages of 200 by 200 points, with a few lines of text each.
const PDF: &[u8] = include_bytes!("../data/preprocess/two-pages-of-text.pdf");

fn answering(answer: &str) -> Setup {
    Setup { answer: answer.to_owned(), ..Setup::default() }
}

/// Where a value is from is said where it is known.
#[tokio::test]
async fn the_only_page_is_the_page_of_every_field() {
    let server = answering(ANSWER).start().await;
    let (events, _) = collect(open(&server, receipt()).await).await;
    let pages = |events: &[Event]| -> Vec<Option<u32>> {
        completed(events).fields.iter().map(|field| field.page).collect()
    };
    assert_eq!(pages(&events), [Some(0); 3]);
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!((accepted.pages.len(), accepted.pages[0].page), (1, 1));
    let mut request = receipt();
    request.files.push(request.files[0].clone());
    let (events, _) = collect(open(&server, request).await).await;
    assert_eq!(pages(&events), [None; 3]);
}

/// What is asked of a PDF holds for what is read: its pages, their order and their resolution.
#[tokio::test]
async fn pages_of_a_pdf_are_rendered_as_asked() {
    let server = Setup { slot_tokens: 2000, ..answering(ANSWER) }.start().await;
    let asking = |pages: &[u32], dpi: Option<u32>| {
        let files = vec![v1::InputFile { pages: pages.to_vec(), dpi, ..file(PDF) }];
        v1::ExtractRequest { files, ..receipt() }
    };
    // Pages of 200 points, 72 to an inch.
    for (pages, dpi, expected) in [
        (&[][..], Some(72), vec![(1, 200), (2, 200)]),
        (&[2, 1], Some(144), vec![(2, 400), (1, 400)]),
        (&[2], None, vec![(2, 555)]),
    ] {
        let (events, status) = collect(open(&server, asking(pages, dpi)).await).await;
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
        let found: Vec<_> = accepted.pages.iter().map(|page| (page.page, page.width_px)).collect();
        assert_eq!(found, expected);
    }
    for (pages, dpi, field) in
        [(&[3][..], None, "files[0].pages"), (&[1], Some(601), "files[0].dpi")]
    {
        let status = refuse(&server, asking(pages, dpi)).await;
        assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(violations(&status), [field]);
    }
}

/// Of pages that bring their text, the one that alone has a value; of others the server does not know.
#[tokio::test]
async fn the_text_of_pages_says_where_a_value_is_from() {
    let answer = r#"{"DOCUMENT_TYPE": "receipt", "SUPPLIER_NAME": "Acme Pty. Ltd.", "PAYER_NAME": "NOT_FOUND",
        "LINE_ITEM_DESCRIPTIONS": "Pen | Ink", "LINE_ITEM_PRICES": "11.00 | 22.00", "LINE_ITEM_QUANTITIES": "1 | 2",
        "GST_AMOUNT": "$3.00", "TOTAL_AMOUNT": "$33.00", "BUSINESS_ADDRESS": "Pen 22.00"}"#;
    let server = Setup { slot_tokens: 2000, ..answering(answer) }.start().await;
    let pages = async |files: Vec<v1::InputFile>| -> Vec<Option<u32>> {
        let mut request = v1::ExtractRequest { files, ..receipt() };
        request.generation.get_or_insert_default().max_output_tokens = Some(1000);
        let (events, status) = collect(open(&server, request).await).await;
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        let of = |fields: Vec<&v1::ExtractedField>| -> Vec<Option<u32>> {
            fields.into_iter().map(|field| field.page).collect()
        };
        let sent = events.iter().filter_map(|event| match event {
            Event::FieldCompleted(field) => Some(field),
            _ => None,
        });
        let last = of(completed(&events).fields.iter().collect());
        assert_eq!(of(sent.collect()), last, "a field says so as it completes");
        last
    };
    let (first, second) = (Some(0), Some(1));
    // Neither page has both quantities, and none the words of the address side by side.
    let found = [None, first, None, first, first, None, second, second, None];
    assert_eq!(pages(vec![file(PDF)]).await, found);
    let turned = vec![v1::InputFile { pages: vec![2, 1], ..file(PDF) }];
    let swapped = found.map(|page| page.map(|page| 1 - page));
    assert_eq!(pages(turned).await, swapped);
    let apart = [2, 1].map(|page| v1::InputFile { pages: vec![page], ..file(PDF) }).to_vec();
    assert_eq!(pages(apart).await, swapped, "of two files");
    let mut with_a_scan = vec![file(PDF)];
    with_a_scan.extend(receipt().files);
    assert_eq!(pages(with_a_scan).await, [None; 9]);
    let alone = vec![v1::InputFile { pages: vec![2], ..file(PDF) }];
    assert_eq!(pages(alone).await, [first; 9], "where else");
}

/// Scans have no text: what the model looked at says where a value is from, and where the text of pages says it that
/// counts.
#[tokio::test]
async fn where_the_model_looked_says_where_a_value_is_from() {
    let answer = r#"{"DOCUMENT_TYPE": "receipt", "SUPPLIER_NAME": "Acme Pty. Ltd.", "PAYER_NAME": "NOT_FOUND",
        "LINE_ITEM_QUANTITIES": "1 | 2", "TOTAL_AMOUNT": "$33.00"}"#;
    let setup = Setup { slot_tokens: 2000, looks_at: Some(1), ..answering(answer) };
    let server = setup.start().await;
    let found = async |files: Vec<v1::InputFile>| -> Vec<(Option<u32>, PageEvidence)> {
        let request = v1::ExtractRequest { files, ..receipt() };
        let (events, status) = collect(open(&server, request).await).await;
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        let fields = &completed(&events).fields;
        for field in fields {
            let is_attention = field.page_evidence() == PageEvidence::Attention;
            assert_eq!(field.page_share.is_some(), is_attention, "{field:?}");
            if let Some(share) = field.page_share {
                assert!((share - 0.8 / 0.9).abs() < 1e-5, "{field:?}");
            }
        }
        fields.iter().map(|field| (field.page, field.page_evidence())).collect()
    };
    let (looked, nowhere) = ((Some(1), PageEvidence::Attention), (None, PageEvidence::Unspecified));
    let scans = [receipt().files, receipt().files].concat();
    assert_eq!(found(scans).await, [nowhere, looked, nowhere, looked, looked]);
    let text = |page| (Some(page), PageEvidence::Text);
    let of_a_pdf = found(vec![file(PDF)]).await;
    assert_eq!(of_a_pdf, [nowhere, text(0), nowhere, looked, text(1)]);
    let only = (Some(0), PageEvidence::OnlyPage);
    assert_eq!(found(receipt().files).await, [only; 5]);
}

/// Of a file with several pages those that are asked for are read, in that order, and each is named.
#[tokio::test]
async fn pages_of_a_tiff_are_chosen_and_named() {
    const TIFF: &[u8] = include_bytes!("../data/preprocess/decode/three-pages.tif");
    let server = Setup { slot_tokens: 2000, ..answering(ANSWER) }.start().await;
    let asking = |pages: &[u32]| {
        let files = vec![
            v1::InputFile { pages: pages.to_vec(), ..file(TIFF) },
            v1::InputFile { pages: vec![2], ..file(TIFF) },
        ];
        v1::ExtractRequest { files, ..receipt() }
    };
    let (events, status) = collect(open(&server, asking(&[3, 1])).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    let pages: Vec<_> =
        accepted.pages.iter().map(|page| (page.file, page.page, page.width_px)).collect();
    assert_eq!(pages, [(0, 3, 37), (0, 1, 37), (1, 2, 20)]);
    let status = refuse(&server, asking(&[4])).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(violations(&status), ["files[0].pages"]);
}
