//! Reflection, in both versions, and not where it is switched off.

use tokio_stream::once;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::Setup;

const SERVICES: [&str; 5] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "tessera.v1.ExtractionService",
    "xds.service.orca.v3.OpenRcaService",
];

fn list_services() -> v1::ServerReflectionRequest {
    v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    }
}

#[tokio::test]
async fn lists_the_services() {
    let server = Setup::default().start().await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let answers = client.server_reflection_info(once(list_services())).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    for name in ["grpc.health.v1.Health", "tessera.v1.ExtractionService"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
    assert!(names.iter().all(|name| SERVICES.contains(&name.as_str())), "{names:?}");
}

#[tokio::test]
async fn speaks_the_old_version() {
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;

    let server = Setup::default().start().await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let symbol = "tessera.v1.ExtractionService".to_owned();
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(symbol)),
    };
    let answers = client.server_reflection_info(once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    assert!(
        matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn can_be_switched_off() {
    let mut setup = Setup::default();
    setup.service.reflection = false;
    let server = setup.start().await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let status = client.server_reflection_info(once(list_services())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
