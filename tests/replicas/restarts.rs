//! Restarts one by one, and a replica that is killed.

use std::time::Duration;

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::load::{rolling_restart, short_question, try_once};
use crate::nginx::Nginx;
use crate::port::free;
use crate::proxy::Proxy;
use crate::replica::{Replica, SOON, endpoint};

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_clients_that_balance() {
    let replicas = [Replica::start(free()).await, Replica::start(free()).await];
    let endpoints = replicas.each_ref().map(|replica| endpoint(replica.address));
    let tally =
        rolling_restart(Channel::balance_list(endpoints.into_iter()), replicas, async |_| {}).await;
    println!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_nginx() {
    let dir = tempfile::tempdir().unwrap();
    let replicas = [Replica::start(free()).await, Replica::start(free()).await];
    let front = free();
    let addresses = replicas.each_ref().map(|replica| replica.address);
    let Some(_nginx) = Nginx::start(dir.path(), front, addresses) else {
        println!("skipped: nginx is not installed");
        return;
    };
    let channel = endpoint(front).connect_lazy();
    let tally = rolling_restart(channel, replicas, async |_| {}).await;
    println!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_a_proxy_that_balances_calls() {
    let replicas = [Replica::start(free()).await, Replica::start(free()).await];
    let proxy = Proxy::start(replicas.each_ref().map(|replica| replica.address)).await;
    let tally =
        rolling_restart(endpoint(proxy.address).connect_lazy(), replicas, async |_| {}).await;
    println!("{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_fails_its_streams_and_nothing_else() {
    let first = Replica::start(free()).await;
    let address = first.address;
    let channel = endpoint(address).connect_lazy();
    let mut request = short_question();
    request.generation.as_mut().unwrap().max_output_tokens = Some(512);
    request.task = Some(v1::extract_request::Task::Schema(v1::ExtractionSchema {
        source: Some(v1::extraction_schema::Source::DocumentType(v1::DocumentType::Receipt.into())),
        ..Default::default()
    }));
    let mut client = ExtractionServiceClient::new(channel.clone());
    let mut stream = client.extract(request).await.unwrap().into_inner();
    let mut fields = 0;
    while fields == 0 {
        let message = stream.message().await.unwrap().expect("the stream goes on");
        fields += usize::from(matches!(message.event, Some(Event::FieldCompleted(_))));
    }
    first.signal("-KILL");
    let status = loop {
        match stream.message().await {
            Ok(Some(message)) => {
                let event = message.event;
                assert!(
                    !matches!(event, Some(Event::Completed(_))),
                    "it was killed before its end"
                );
            }
            Ok(None) => panic!("a killed server must not look like success"),
            Err(status) => break status,
        }
    };
    assert_ne!(status.code(), Code::Ok);
    drop(first);

    // A new process on the same address answers the same client, without a new channel.
    let _second = Replica::start(address).await;
    let again = async {
        while try_once(&channel).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SOON, again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_ends_at_once() {
    let replica = Replica::start(free()).await;
    // A connection that does nothing holds up nobody.
    let idle = endpoint(replica.address).connect().await.unwrap();
    let mute = std::net::TcpStream::connect(replica.address).unwrap();
    let took = replica.stop().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop((idle, mute));
}
