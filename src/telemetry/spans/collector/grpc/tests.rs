//! What a collector is sent over gRPC, and what is made of its answers.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Response;
use tonic_types::ErrorDetails;

use super::*;

#[test]
fn headers_are_read_as_baggage_is() {
    let read = headers(" Authorization=Basic%20YTpi=,x-tenant = a,broken,bad name=1,empty=,");
    let of = |name: &str| read.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(of("authorization").as_deref(), Some("Basic YTpi="));
    assert_eq!(of("x-tenant").as_deref(), Some("a"));
    assert_eq!(of("empty").as_deref(), Some(""));
    assert_eq!(read.len(), 3);
}

#[test]
fn what_fails_again_is_not_sent_again() {
    let with = |code, after: Option<Duration>| {
        let details = ErrorDetails::with_retry_info(after);
        retry_after(&match after {
            Some(_) => Status::with_error_details(code, "", details),
            None => Status::new(code, ""),
        })
    };
    let second = Duration::from_secs(1);
    assert_eq!(with(Code::ResourceExhausted, None), None);
    assert_eq!(with(Code::ResourceExhausted, Some(second)), Some(second));
    assert_eq!(with(Code::Unavailable, None), Some(Duration::ZERO));
    assert_eq!(with(Code::Unavailable, Some(second)), Some(second));
    assert_eq!(with(Code::InvalidArgument, None), None);
    assert_eq!(with(Code::Unauthenticated, Some(second)), None);
}

#[tokio::test]
async fn only_addresses_that_can_be_reached_are_taken() {
    let new = |endpoint| Grpc::new(endpoint, Duration::from_secs(1)).unwrap_err();
    assert!(new("https://collector:4317").contains("not https"));
    assert!(new("collector").contains("scheme"));
    assert!(!new("not a uri").is_empty());
}

/// Answers as it was told to, then with a partial success.
#[derive(Debug, Clone, Default)]
struct Service {
    first: Arc<Mutex<Option<Status>>>,
    requests: Arc<Mutex<Vec<(ExportTraceServiceRequest, MetadataMap)>>>,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone();
        self.requests.lock().unwrap().push((request.into_inner(), headers));
        if let Some(status) = self.first.lock().unwrap().take() {
            return Err(status);
        }
        let refused = ExportTracePartialSuccess { rejected_spans: 2, ..Default::default() };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(refused) }))
    }
}

impl Service {
    /// Answers `first` first.
    async fn start(first: Status, timeout: Duration) -> (Self, Grpc) {
        let service = Self { first: Arc::new(Mutex::new(Some(first))), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(service.clone()))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        (service, Grpc::new(&endpoint, timeout).unwrap())
    }
}

/// A message in two parts.
fn parts() -> (Parts, ExportTraceServiceRequest) {
    let of = ResourceSpans { schema_url: "schema".to_owned(), ..Default::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![of] };
    let mut head = Bytes::from(request.encode_to_vec());
    let tail = head.split_off(3);
    ([head, tail], request)
}

#[tokio::test]
async fn what_may_succeed_is_sent_again() {
    let unavailable = Status::unavailable("not now");
    let (service, mut grpc) = Service::start(unavailable, Duration::from_secs(30)).await;
    grpc.headers = headers("authorization=Bearer%20a");
    let (parts, request) = parts();
    assert_eq!(grpc.export(parts).await.unwrap(), 2, "spans that the collector refused");
    let requests = service.requests.lock().unwrap();
    assert_eq!(requests.len(), 2);
    for (sent, headers) in requests.iter() {
        assert_eq!(*sent, request);
        assert_eq!(headers.get("authorization").unwrap(), "Bearer a");
        assert!(headers.get("user-agent").unwrap().to_str().unwrap().starts_with("tessera/"));
    }
}

#[tokio::test]
async fn a_refusal_is_told_without_what_the_collector_says() {
    let refusal = Status::unauthenticated("not with the token secret");
    let (service, grpc) = Service::start(refusal, Duration::from_secs(30)).await;
    let failure = grpc.export(parts().0).await.unwrap_err();
    assert_eq!(failure.reason, "rejected");
    assert_eq!(failure.message, "the export failed with Unauthenticated");
    assert_eq!(service.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_timeout() {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_mins(1)));
    let later = Status::with_error_details(Code::Unavailable, "", details);
    let (service, grpc) = Service::start(later, Duration::from_secs(5)).await;
    let begin = Instant::now();
    assert!(grpc.export(parts().0).await.is_err());
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(service.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_collector_that_is_not_there_rejects_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let grpc = Grpc::new(&endpoint, Duration::from_secs(5)).unwrap();
    let failure = grpc.export(parts().0).await.unwrap_err();
    assert_eq!(failure.reason, "unreachable", "{failure:?}");
}

#[tokio::test]
async fn a_collector_that_says_nothing_rejects_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let grpc = Grpc::new(&endpoint, Duration::from_millis(300)).unwrap();
    let failure = grpc.export(parts().0).await.unwrap_err();
    assert_eq!(failure.reason, "timeout", "{failure:?}");
}
