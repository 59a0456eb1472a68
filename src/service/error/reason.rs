//! Why a call or a document failed: the closed list of `ErrorInfo.reason`, and what each counts as.
//!
//! One table, so that a new reason cannot be made without saying whether it is counted.

/// What a reason says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Kind {
    /// It was not taken; counted in `tessera.rejections`.
    Refusal,
    /// Its answer was none; counted in `tessera.engine.spoilt_answers`, by whoever ended it.
    Spoilt,
    /// It was taken, and did not come to its end.
    Failure,
}

macro_rules! reasons {
    ($($variant:ident, $name:literal, $kind:ident;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::service) enum Reason {
            $($variant,)*
        }

        impl Reason {
            pub(in crate::service) const ALL: &[Self] = &[$(Self::$variant),*];

            /// As clients read it.
            pub(in crate::service) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub(in crate::service) const fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => Kind::$kind,)*
                }
            }
        }
    };
}

reasons! {
    AnswerTooLarge, "ANSWER_TOO_LARGE", Failure;
    BatchFull, "BATCH_FULL", Refusal;
    Bug, "BUG", Failure;
    Cancelled, "CANCELLED", Failure;
    Constraint, "CONSTRAINT", Failure;
    CredentialsInvalid, "CREDENTIALS_INVALID", Refusal;
    CredentialsMissing, "CREDENTIALS_MISSING", Refusal;
    Deadline, "DEADLINE", Failure;
    DeviceError, "DEVICE_ERROR", Failure;
    DrainTimeout, "DRAIN_TIMEOUT", Failure;
    Draining, "DRAINING", Refusal;
    FetchFailed, "FETCH_FAILED", Refusal;
    Gibberish, "GIBBERISH", Spoilt;
    InvalidField, "INVALID_FIELD", Refusal;
    LimitExceeded, "LIMIT_EXCEEDED", Refusal;
    MalformedMessage, "MALFORMED_MESSAGE", Refusal;
    MessageTimeout, "MESSAGE_TIMEOUT", Refusal;
    MethodNotAllowed, "METHOD_NOT_ALLOWED", Refusal;
    ModelFailed, "MODEL_FAILED", Refusal;
    ModelLoading, "MODEL_LOADING", Refusal;
    ModelNotFound, "MODEL_NOT_FOUND", Refusal;
    ModelPoisoned, "MODEL_POISONED", Refusal;
    NonFiniteLogits, "NON_FINITE_LOGITS", Spoilt;
    Prompt, "PROMPT", Failure;
    QueueFull, "QUEUE_FULL", Refusal;
    QuotaInFlight, "QUOTA_IN_FLIGHT", Refusal;
    QuotaPerMinute, "QUOTA_PER_MINUTE", Refusal;
    Repetition, "REPETITION", Spoilt;
    RequestMemoryFull, "REQUEST_MEMORY_FULL", Refusal;
    RequestTooLargeForMemory, "REQUEST_TOO_LARGE_FOR_MEMORY", Failure;
    SlowClient, "SLOW_CLIENT", Failure;
    Unimplemented, "UNIMPLEMENTED", Refusal;
}

impl Reason {
    /// The reason with this name.
    pub(in crate::service) fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == name)
    }
}
