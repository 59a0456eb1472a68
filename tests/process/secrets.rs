//! Keys and tokens are in no line that the server writes, however much it is told to log.

use std::fs::File;

use tessera::access::digest_of_key;
use tonic::{Code, Request};

use crate::server::{Server, question};

const KEY: &str = "tsr_4f9a2c77d1e84b0c";
const WRONG_KEY: &str = "tsr_b7702e55aa09c3d1";
/// As a client would send it: three parts, of which the server believes none.
const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiI5MTczIn0.c2lnbmF0dXJlLTg4MjM";

#[tokio::test]
async fn nothing_that_is_logged_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let access = dir.path().join("access.toml");
    let digest = digest_of_key(KEY);
    let text = format!(
        "[[key]]\nname = \"till\"\nsha256 = \"{digest}\"\n\
         [[rule]]\ncallers = [\"key:till\"]\nmethods = [\"*\"]\n"
    );
    std::fs::write(&access, text).unwrap();
    let log = dir.path().join("log");
    let out = File::create(&log).unwrap();
    let flags = ["--log-level", "trace", "--access-file", access.to_str().unwrap()];
    let server = Server::spawn(&flags, |command| {
        command.stderr(out);
    });
    server.until_serving().await;
    let mut client = server.client().await;
    let with = |header: &'static str, value: &str| {
        let mut request = Request::new(question(2));
        request.metadata_mut().insert(header, value.parse().unwrap());
        request
    };
    for (header, value, code) in [
        ("x-api-key", KEY.to_owned(), Code::Ok),
        ("authorization", format!("Bearer {KEY}"), Code::Ok),
        ("x-api-key", WRONG_KEY.to_owned(), Code::Unauthenticated),
        ("authorization", format!("Bearer {TOKEN}"), Code::Unauthenticated),
    ] {
        let found = match client.extract(with(header, &value)).await {
            Ok(answer) => {
                let mut stream = answer.into_inner();
                while stream.message().await.unwrap().is_some() {}
                Code::Ok
            }
            Err(status) => {
                assert!(!format!("{status:?}").contains(&value), "said back: {status:?}");
                status.code()
            }
        };
        assert_eq!(found, code);
    }
    server.stop().await;
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("key:till"), "it does log who called");
    for secret in [KEY, WRONG_KEY, TOKEN, &digest] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is logged");
    }
}
