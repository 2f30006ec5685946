//! What an error of Pub/Sub's client means to whoever runs the worker.

use google_cloud_gax::error::{Error as Source, rpc::Code};
use rustls::Error as TlsError;

use crate::tls;

/// Why something of Pub/Sub's can't be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    /// It doesn't answer.
    Unreachable,
    /// Who answers is not known to be Google.
    Untrusted,
    /// Our credentials don't hold, or can't be had.
    Credentials,
    /// They hold, and don't allow this.
    Denied,
    /// There is no such subscription or topic.
    Missing,
    /// It is there, and can't be used like this.
    Unfit,
    /// Google has said something else.
    Other,
}

impl Outage {
    pub(super) fn of(error: &Source) -> Self {
        if error.is_authentication() {
            return Self::Credentials;
        }
        if let Some(TlsError::InvalidCertificate(_)) = tls::said(error) {
            return Self::Untrusted;
        }
        let code = error.status().map(|status| status.code);
        match (code, error.http_status_code()) {
            (Some(Code::Unauthenticated), _) | (_, Some(401)) => Self::Credentials,
            (Some(Code::PermissionDenied), _) | (_, Some(403)) => Self::Denied,
            (Some(Code::NotFound), _) | (_, Some(404)) => Self::Missing,
            (Some(Code::FailedPrecondition | Code::InvalidArgument), _) | (_, Some(400)) => {
                Self::Unfit
            }
            (Some(Code::Unavailable | Code::DeadlineExceeded), _) | (_, Some(500..)) => {
                Self::Unreachable
            }
            (None, None) => Self::Unreachable,
            _ => Self::Other,
        }
    }

    /// What a person needs to know of a subscription that can't be read.
    pub(super) fn of_subscription(self, name: &str) -> String {
        match self {
            Self::Unreachable => "Pub/Sub can't be reached".to_owned(),
            Self::Untrusted => "the certificate of Pub/Sub's server is signed by nobody whom we trust, or is for another name: \
                                check `endpoint`, and name the authority of a proxy of yours in the file of SSL_CERT_FILE"
                .to_owned(),
            Self::Credentials => "Google refuses our credentials, or none can be had: renew them, or check `credentials` and the \
                                  pod's workload identity"
                .to_owned(),
            Self::Denied => format!(
                "Google denies us the subscription {name}: grant the worker's account roles/pubsub.subscriber on it"
            ),
            Self::Missing => {
                format!("the subscription {name} doesn't exist: create it with `stoop setup`")
            }
            Self::Unfit => format!(
                "the subscription {name} can't be pulled from: it has to be a pull subscription whose topic exists; see \
                 `stoop setup`"
            ),
            Self::Other => format!("the subscription {name} can't be read"),
        }
    }

    /// What a person needs to know of a topic that can't be published to.
    pub(super) fn of_topic(self, name: &str) -> String {
        match self {
            Self::Unreachable | Self::Untrusted | Self::Credentials => self.of_subscription(name),
            Self::Denied => format!(
                "Google doesn't let us publish to {name}: grant the worker's account roles/pubsub.publisher on it"
            ),
            Self::Missing => {
                format!("the topic {name} doesn't exist: create it with `stoop setup`")
            }
            Self::Unfit => format!("the topic {name} refuses the message"),
            Self::Other => format!("publishing to {name} failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::rpc::Status;

    use super::*;

    #[test]
    fn what_google_says_is_told_apart() {
        for (code, outage) in [
            (Code::Unauthenticated, Outage::Credentials),
            (Code::PermissionDenied, Outage::Denied),
            (Code::NotFound, Outage::Missing),
            (Code::FailedPrecondition, Outage::Unfit),
            (Code::Unavailable, Outage::Unreachable),
            (Code::AlreadyExists, Outage::Other),
        ] {
            assert_eq!(Outage::of(&Source::service(Status::default().set_code(code))), outage);
        }
    }
}
