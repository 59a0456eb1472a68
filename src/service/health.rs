//! `grpc.health.v1`. Not tonic-health's own server: its Watch answers `NOT_FOUND` for a name it does
//! not know, where clients that check health (gRFC A17) need a stream that says
//! `SERVICE_UNKNOWN`; and it has no List (gRFC A90).

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::trace::SERVICE;
use crate::engine;
use crate::pb::health::health_check_response::ServingStatus;
use crate::pb::health::health_server::Health;
use crate::pb::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};

/// Health of the process (`""`), which says whether to keep it, and of the service, which says whether
/// to send it requests and follows the model.
#[derive(Debug, Clone)]
pub(super) struct HealthService {
    pub(super) status: watch::Receiver<engine::Status>,
    pub(super) shutdown: CancellationToken,
}

/// What a name in a request stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Process,
    Service,
    Unknown,
}

impl Subject {
    fn of(name: &str) -> Self {
        match name {
            "" => Self::Process,
            SERVICE => Self::Service,
            _ => Self::Unknown,
        }
    }

    fn serving(self, status: &engine::Status) -> ServingStatus {
        let well = match self {
            Self::Process => status.is_alive(),
            Self::Service => status.is_ready(),
            Self::Unknown => return ServingStatus::ServiceUnknown,
        };
        if well { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let subject = Subject::of(&request.get_ref().service);
        if subject == Subject::Unknown {
            return Err(Status::not_found("no service of this name"));
        }
        Ok(Response::new(answer(subject.serving(&self.status.borrow()))))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        let status = self.status.borrow();
        let statuses = ["", SERVICE]
            .map(|name| (name.to_owned(), answer(Subject::of(name).serving(&status))))
            .into();
        Ok(Response::new(HealthListResponse { statuses }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let subject = Subject::of(&request.get_ref().service);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(follow(subject, self.status.clone(), self.shutdown.clone(), sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Sends the health of `subject` now and after each change, until the reader or the server goes.
async fn follow(
    subject: Subject,
    mut status: watch::Receiver<engine::Status>,
    shutdown: CancellationToken,
    sender: mpsc::Sender<Result<HealthCheckResponse, Status>>,
) {
    let mut sent = None;
    let mut ending = false;
    loop {
        let serving = subject.serving(&status.borrow_and_update());
        if sent.replace(serving) != Some(serving) && sender.send(Ok(answer(serving))).await.is_err()
        {
            return;
        }
        if ending {
            return;
        }
        // The last change is told even where the end comes with it.
        tokio::select! {
            changed = status.changed() => ending = changed.is_err(),
            () = shutdown.cancelled() => ending = true,
            () = sender.closed() => return,
        }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
