//! Bad requests: each its exact code, reason and field, before the first message.

use tessera::pb::v1;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{
    Setup, assert_failure, collect, fields, file, info, open, png, question, receipt, refuse,
};

fn with_options(generation: v1::GenerationOptions) -> v1::ExtractRequest {
    v1::ExtractRequest { generation: Some(generation), ..receipt() }
}

#[tokio::test]
async fn an_empty_request() {
    let server = Setup::default().start().await;
    let status = refuse(&server, v1::ExtractRequest::default()).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["files", "task"]);
}

#[tokio::test]
async fn no_files() {
    let server = Setup::default().start().await;
    let status = refuse(&server, v1::ExtractRequest { files: vec![], ..receipt() }).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["files"]);
}

#[tokio::test]
async fn neither_prompt_nor_schema() {
    let server = Setup::default().start().await;
    let status = refuse(&server, v1::ExtractRequest { task: None, ..receipt() }).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["task"]);
}

#[tokio::test]
async fn files_that_are_no_images() {
    let server = Setup::default().start().await;
    // A PNG's beginning that promises no pixels at all.
    let header: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\0\x08\x02\0\0\0\x86\xfc\xb6\x23";
    let whole = png();
    let cut = whole.slice(..whole.len() / 2);
    for bad in [bytes::Bytes::from_static(b"hello, world"), bytes::Bytes::from_static(header), cut]
    {
        let files = vec![file(whole.clone()), file(bad)];
        let status = refuse(&server, v1::ExtractRequest { files, ..receipt() }).await;
        assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
        assert_eq!(fields(&status), ["files[1].content"]);
    }
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "the server is well");
}

#[tokio::test]
async fn too_many_files() {
    let server = Setup::default().start().await;
    let files = vec![file(png()); 17];
    let status = refuse(&server, v1::ExtractRequest { files, ..receipt() }).await;
    assert_failure(&status, Code::InvalidArgument, "LIMIT_EXCEEDED");
    let metadata = info(&status).1.metadata;
    assert_eq!(metadata["limit"], "max_pages");
    assert_eq!((metadata["limit_value"].as_str(), metadata["value"].as_str()), ("16", "17"));
}

#[tokio::test]
async fn a_message_beyond_the_limit() {
    let server = Setup::default().start().await;
    let files = vec![file(vec![0; 33 << 20]), file(vec![0; 33 << 20])];
    let status = refuse(&server, v1::ExtractRequest { files, ..receipt() }).await;
    assert_failure(&status, Code::OutOfRange, "LIMIT_EXCEEDED");
    let metadata = info(&status).1.metadata;
    assert_eq!((&*metadata["limit"], &*metadata["limit_value"]), ("max_request_bytes", "67108864"));
    let (_, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "the server is well");
}

#[tokio::test]
async fn an_unknown_model() {
    let server = Setup::default().start().await;
    let request = v1::ExtractRequest { model: "gpt-5".to_owned(), ..receipt() };
    let status = refuse(&server, request).await;
    assert_failure(&status, Code::NotFound, "MODEL_NOT_FOUND");
    assert_eq!(status.get_details_resource_info().unwrap().resource_name, "gpt-5");
}

#[tokio::test]
async fn options_out_of_range() {
    let server = Setup::default().start().await;
    let temperature = v1::GenerationOptions { temperature: Some(2.5), ..Default::default() };
    let status = refuse(&server, with_options(temperature)).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["generation.temperature"]);

    let tokens = v1::GenerationOptions { max_output_tokens: Some(100_000), ..Default::default() };
    let status = refuse(&server, with_options(tokens)).await;
    assert_failure(&status, Code::InvalidArgument, "LIMIT_EXCEEDED");
    assert_eq!(fields(&status), ["generation.max_output_tokens"]);
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_the_model() {
    let server = Setup { slot_tokens: 128, ..Setup::default() }.start().await;
    let status = refuse(&server, question(&"many words ".repeat(500))).await;
    assert_failure(&status, Code::InvalidArgument, "LIMIT_EXCEEDED");
    let metadata = info(&status).1.metadata;
    assert_eq!(metadata["limit"], "max_input_tokens");
}

#[tokio::test]
async fn image_marks_that_do_not_fit_the_pages() {
    let server = Setup::default().start().await;
    let status = refuse(&server, question("<image> and <image>: which is older?")).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["prompt"]);
}
