//! Load reports: in the trailers of each call, and streamed.

use std::time::Duration;

use prost::Message as _;
use tessera::pb::xds::data::orca::v3::OrcaLoadReport;
use tessera::pb::xds::service::orca::v3::OrcaLoadReportRequest;
use tessera::pb::xds::service::orca::v3::open_rca_service_client::OpenRcaServiceClient;
use tonic::metadata::MetadataMap;

use crate::support::{SOON, Setup, completed, first_token, open, question, receipt, refuse};

const TRAILER: &str = "endpoint-load-metrics-bin";

fn report(metadata: &MetadataMap) -> OrcaLoadReport {
    let value = metadata.get_bin(TRAILER).unwrap_or_else(|| panic!("no report in {metadata:?}"));
    OrcaLoadReport::decode(value.to_bytes().unwrap()).unwrap()
}

#[tokio::test]
async fn each_call_ends_with_a_report() {
    let server = Setup::default().start().await;
    let mut stream = open(&server, receipt()).await;
    let mut events = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        events.extend(message.event);
    }
    let usage = completed(&events).usage.unwrap();
    let trailers = stream.trailers().await.unwrap().unwrap();
    let report = report(&trailers);
    let cost = |name: &str| report.request_cost[name] as u32;
    assert_eq!(cost("input_tokens"), usage.input_tokens);
    assert_eq!(cost("output_tokens"), usage.output_tokens);
    assert!(report.named_metrics.contains_key("requests_waiting"), "{report:?}");
}

#[tokio::test]
async fn a_refusal_tells_the_load_too() {
    let server = Setup::default().start().await;
    server.engine.drain();
    let status = refuse(&server, receipt()).await;
    assert!(report(status.metadata()).request_cost.is_empty());
}

#[tokio::test]
async fn reports_are_streamed_until_the_server_leaves() {
    let server = Setup::endless(Duration::from_millis(2)).start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let mut client = OpenRcaServiceClient::new(server.channel().await);
    let request = OrcaLoadReportRequest {
        report_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..Default::default()
    };
    let mut reports = client.stream_core_metrics(request).await.unwrap().into_inner();
    for _ in 0..2 {
        let next = tokio::time::timeout(SOON, reports.message()).await.unwrap();
        let report = next.unwrap().expect("reports go on");
        assert!(
            (report.application_utilization - 0.5).abs() < 1e-9,
            "one of two slots: {report:?}"
        );
        assert!(report.utilization["slots"] > 0.0 && report.request_cost.is_empty());
    }
    drop(running);
    server.shutdown.cancel();
    let end = tokio::time::timeout(SOON, reports.message()).await.unwrap();
    assert!(end.unwrap().is_none(), "the stream ends with the server");
}
