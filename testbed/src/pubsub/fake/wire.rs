//! The few messages of the API that a subscriber and a publisher use:
//! <https://github.com/googleapis/googleapis/blob/master/google/pubsub/v1/pubsub.proto>

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct PubsubMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) data: Bytes,
    #[prost(map = "string, string", tag = "2")]
    pub(super) attributes: HashMap<String, String>,
    #[prost(string, tag = "3")]
    pub(super) message_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Received {
    #[prost(string, tag = "1")]
    pub(super) ack_id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) message: Option<PubsubMessage>,
    #[prost(int32, tag = "3")]
    pub(super) delivery_attempt: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Properties {
    #[prost(bool, tag = "1")]
    pub(super) exactly_once_delivery_enabled: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamingPullRequest {
    #[prost(int32, tag = "5")]
    pub(super) stream_ack_deadline_seconds: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamingPullResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) received_messages: Vec<Received>,
    #[prost(message, optional, tag = "4")]
    pub(super) subscription_properties: Option<Properties>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Acknowledge {
    #[prost(string, repeated, tag = "2")]
    pub(super) ack_ids: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModifyAckDeadline {
    #[prost(int32, tag = "3")]
    pub(super) ack_deadline_seconds: i32,
    #[prost(string, repeated, tag = "4")]
    pub(super) ack_ids: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Publish {
    #[prost(message, repeated, tag = "2")]
    pub(super) messages: Vec<PubsubMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PublishResponse {
    #[prost(string, repeated, tag = "1")]
    pub(super) message_ids: Vec<String>,
}
