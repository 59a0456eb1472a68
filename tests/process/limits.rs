//! Limits that an operator sets are those that callers are told.

use tessera::pb::v1;

use crate::server::Server;

#[tokio::test]
async fn limits_of_the_queue_are_told() {
    let limits = async |flags: &[&str]| {
        let server = Server::start(&[&["--weights", "fake:step=1ms"], flags].concat()).await;
        let answer = server.client().await.model_info(v1::ModelInfoRequest::default()).await;
        let limits = answer.unwrap().into_inner().status.unwrap().limits.unwrap();
        server.stop().await;
        limits
    };
    let set = ["--queue", "7", "--queue-tokens", "4321", "--slots", "2", "--slot-tokens", "2000"];
    let told = limits(&set).await;
    assert_eq!((told.max_queued_requests, told.max_queued_tokens), (7, 4321));
    assert_eq!((told.max_running_requests, told.max_input_tokens), (2, 1999));
    // Unless it is said otherwise, as many requests as wait may have whole slots.
    let told = limits(&["--queue", "7", "--slot-tokens", "2000"]).await;
    assert_eq!(told.max_queued_tokens, 7 * 2000);
}
