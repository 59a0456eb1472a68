//! Every failure as a client sees it.

use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;

fn check(status: &Status, expected: &Expect) {
    expected.assert_eq(&render(status));
}

const RETRY: Duration = Duration::from_millis(1500);

#[test]
fn queue_full() {
    let reject = Reject::QueueFull { queued: 256, retry_after: RETRY };
    check(&rejected(&reject), &expect![]);
}

#[test]
fn loading() {
    let reject = Reject::Loading { message: "file 3 of 4".to_owned(), retry_after: RETRY };
    check(&rejected(&reject), &expect![]);
}

#[test]
fn draining() {
    check(&rejected(&Reject::Draining { retry_after: RETRY }), &expect![]);
}

#[test]
fn model_failed() {
    let reject = Reject::Failed { message: "no weights".to_owned() };
    check(&rejected(&reject), &expect![]);
}

#[test]
fn too_many_pages() {
    check(&failed(&EngineError::TooManyPages { pages: 17, pages_max: 16 }), &expect![]);
}

#[test]
fn too_many_tokens() {
    let error = EngineError::TooManyTokens { input_tokens: 9000, input_tokens_max: 8191 };
    check(&failed(&error), &expect![]);
}

#[test]
fn deadline_passed() {
    check(&failed(&EngineError::Deadline { phase: "decode" }), &expect![]);
}

#[test]
fn slow_client() {
    check(&failed(&EngineError::SlowClient { waited_ms: 30_000 }), &expect![]);
}

#[test]
fn non_finite_logits() {
    check(&failed(&EngineError::NonFiniteLogits { step: 7 }), &expect![]);
}

#[test]
fn out_of_memory() {
    let error = RunError::OutOfMemory {
        device_id: "cuda:0".to_owned(),
        message: "2 GiB asked, 1 GiB free".to_owned(),
    };
    check(&failed(&EngineError::Run(error)), &expect![]);
}

#[test]
fn device_error() {
    let error = RunError::Device { site: "attention", message: "illegal address".to_owned() };
    check(&failed(&EngineError::Run(error)), &expect![]);
}

#[test]
fn stopped() {
    check(&failed(&EngineError::Stopped), &expect![]);
}

#[test]
fn a_panic_keeps_its_text_to_itself() {
    let error = EngineError::Panicked { message: "index 3 of customer Jane Doe".to_owned() };
    check(&failed(&error), &expect![]);
}

#[test]
fn unknown_model() {
    check(&model_not_found("gpt-5", "internvl3-8b"), &expect![]);
}
