//! One Falco event, all the way: a real Kafka, a real Kubernetes cluster, and the program itself.

mod outages;
mod promise;
mod refusals;
mod sink;
mod topic;
mod worker;
