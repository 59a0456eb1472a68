//! `grpc.health.v1`. Not tonic-health's own server: its Watch answers `NOT_FOUND` for a name it does
//! not know, where clients that check health (gRFC A17) need a stream that says
//! `SERVICE_UNKNOWN`.

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::trace::SERVICE;
use crate::engine::{self, ModelState};

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
        let open = status.load.running + status.load.queued > 0;
        match (self, status.state) {
            // Whoever starts processes anew shall do so, once the last answer is out.
            (Self::Process, ModelState::Poisoned) if !open => ServingStatus::NotServing,
            (Self::Process, _) | (Self::Service, ModelState::Ready) => ServingStatus::Serving,
            (Self::Service, _) => ServingStatus::NotServing,
            (Self::Unknown, _) => ServingStatus::ServiceUnknown,
        }
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
