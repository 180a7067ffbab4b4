//! Kafka's errors as the contract's: what does a caller do next?

use std::sync::Arc;

use events::Error;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// What a caller does about it. What is not known to be the input's fault is Kafka's, and tried again.
pub(super) fn of(error: KafkaError) -> Error {
    match code(&error) {
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
            Error::UnknownTopic
        }
        _ => Error::Environment { what: format!("kafka: {error}"), source: Some(Arc::new(error)) },
    }
}

/// Whether it is an answer that stays the same until somebody changes settings there or here.
pub(super) fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::PolicyViolation
            | Code::InvalidTopic
            | Code::InvalidConfig
            | Code::InvalidPartitions
    )
}

/// Which of Kafka's errors it is.
pub(super) fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// `Ok` at the limit, [`Error::Limit`] one past it.
pub(super) fn within(field: &'static str, value: usize, limit: usize) -> Result<(), Error> {
    if value <= limit {
        return Ok(());
    }
    Err(Error::Limit { field, value: value as u64, limit: limit as u64 })
}

/// Whether the partition has no leader at the moment, or one that does not know it yet.
pub(super) fn is_without_leader(error: &KafkaError) -> bool {
    matches!(code(error), Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable))
}
