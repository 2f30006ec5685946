//! Why a request was refused: a closed set, with the status and the text of each.

use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::Answer;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// No token, or the wrong one.
    Unauthorized,
    /// Longer than the body limit, or than the whole journal.
    TooLarge,
    /// Not JSON, or not an event.
    Malformed,
    /// The body didn't come in time.
    Slow,
    /// Too many bodies are being read.
    Busy,
    /// The journal is full.
    Full,
    /// The worker is stopping.
    Closed,
    /// The journal's file has failed.
    Failed,
}

impl Rejection {
    /// All there are, in the order of their discriminants.
    pub const ALL: [Self; 8] = [
        Self::Unauthorized,
        Self::TooLarge,
        Self::Malformed,
        Self::Slow,
        Self::Busy,
        Self::Full,
        Self::Closed,
        Self::Failed,
    ];

    /// A label for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::Full | Self::Closed => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a publisher has to be told beside the text.
    const fn headers(self) -> &'static [(&'static str, &'static str)] {
        const LATER: (&str, &str) = ("retry-after", "5");
        // What is left of the body isn't read; and a journal that has ended may be opened anew, for new connections.
        const HANG_UP: (&str, &str) = ("connection", "close");
        match self {
            Self::Unauthorized => &[("www-authenticate", "Bearer, Basic realm=\"stoop\"")],
            Self::Busy | Self::Full => &[LATER],
            Self::Closed => &[LATER, HANG_UP],
            Self::TooLarge | Self::Slow | Self::Failed => &[HANG_UP],
            Self::Malformed => &[],
        }
    }

    /// With the reason, for whoever sent it.
    pub(super) fn because(self, why: impl Into<String>) -> Refusal {
        Refusal { rejection: self, why: why.into() }
    }
}

/// A refused request's answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) rejection: Rejection,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn into_answer(self) -> Answer {
        let mut answer = Answer::new((self.why + "\n").into());
        *answer.status_mut() = self.rejection.status();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        for (name, value) in self.rejection.headers() {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_its_own_and_finds_its_counter() {
        for (position, rejection) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(rejection as usize, position);
            assert!(
                Rejection::ALL.iter().filter(|r| r.as_str() == rejection.as_str()).count() == 1
            );
        }
    }
}
