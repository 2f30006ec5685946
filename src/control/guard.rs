//! Who may use the control port. A pure decision on the request's head.
//!
//! It has to hold against the web pages that the operator's own browser shows: they can send requests to loopback, also
//! under a name of their own that resolves to it. So every request needs a header that a page can't set for another
//! origin, none may name an origin, and without a token the host has to be an address; unless TLS is spoken, for then a
//! name that isn't in the certificate leads nowhere.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use brokers::Error;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::Refusal;
use crate::config;

/// The header that every request has to carry, whatever its value.
pub(super) const HEADER: &str = "stoop-control";

/// What a request has to show.
pub(super) struct Guard {
    token: Option<SecretString>,
    /// Whether the port speaks TLS. Who has no certificate that it may want gets no request through.
    encrypted: bool,
}

impl Guard {
    pub(super) fn new(control: &config::Control) -> Result<Self, Error> {
        let token = control.token.as_ref().map(settings::Secret::read).transpose();
        let token = token.map_err(|e| Error::Configuration(format!("`control.token`: {e}")))?;
        Ok(Self { token, encrypted: control.tls.is_some() })
    }

    fn judge(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(Refusal(StatusCode::FORBIDDEN, why.to_owned()));
        match &self.token {
            Some(token) if !shows(headers, token) => {
                let why = "the token of `control.token` is wanted, as Bearer";
                return Err(Refusal(StatusCode::UNAUTHORIZED, why.to_owned()));
            }
            Some(_) => {}
            None if !self.encrypted && !names_an_address(headers) => {
                return refuse("the Host is neither an address nor localhost");
            }
            None => {}
        }
        if headers.contains_key(ORIGIN) {
            return refuse("no web page may use the control port");
        }
        if !headers.contains_key(HEADER) {
            return refuse("the header `stoop-control: 1` is wanted");
        }
        let is_json = || {
            let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            kind.and_then(|kind| kind.split(';').next())
                .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        };
        if !matches!(*method, Method::GET | Method::HEAD) && !is_json() {
            let why = "what changes something is sent as application/json".to_owned();
            return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        Ok(())
    }
}

/// Lets a request through, or answers why not.
pub(super) async fn admit(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    match guard.judge(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn shows(headers: &HeaderMap, token: &SecretString) -> bool {
    let shown = headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let shown = shown.and_then(|shown| shown.split_once(' '));
    shown.is_some_and(|(scheme, shown)| {
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(shown.trim().as_bytes().ct_eq(token.expose_secret().as_bytes()))
    })
}

/// A name could be somebody else's that resolves to here.
fn names_an_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(&str, &str); 3] =
        [("host", "127.0.0.1:2807"), (HEADER, "1"), ("content-type", "application/json")];

    fn judge(token: Option<&str>, method: Method, headers: &[(&str, &str)]) -> u16 {
        judge_as(Guard { token: token.map(Into::into), encrypted: false }, method, headers)
    }

    fn judge_as(guard: Guard, method: Method, headers: &[(&str, &str)]) -> u16 {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            all.insert(name, value.parse().unwrap());
        }
        guard.judge(&method, &all).map_or_else(|refusal| refusal.0.as_u16(), |()| 200)
    }

    fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        OURS.iter().copied().chain(more.iter().copied()).collect()
    }

    #[test]
    fn a_tool_on_this_machine_is_let_in() {
        for host in ["127.0.0.1:2807", "localhost:2807", "LOCALHOST", "[::1]:2807", "10.0.0.1"] {
            assert_eq!(judge(None, Method::POST, &with(&[("host", host)])), 200, "{host}");
        }
        assert_eq!(judge(None, Method::GET, &OURS[..2]), 200);
    }

    #[test]
    fn a_web_page_is_not_whatever_it_can_send() {
        for (method, headers) in [
            // A form, an image, a fetch without a preflight.
            (Method::POST, vec![("host", "127.0.0.1:2807"), ("content-type", "text/plain")]),
            (Method::POST, vec![("host", "127.0.0.1:2807"), ("content-type", "application/json")]),
            (Method::GET, vec![("host", "127.0.0.1:2807")]),
            // After a preflight that somebody would answer.
            (Method::POST, with(&[("origin", "https://evil.example")])),
            (Method::GET, with(&[("origin", "null")])),
            // A name of the page's own that resolves to loopback: to the browser it is the same origin.
            (Method::GET, with(&[("host", "evil.example:2807")])),
            (Method::POST, with(&[("host", "127.0.0.1.evil.example")])),
            (Method::DELETE, with(&[("host", "localhost.evil.example:2807")])),
            (Method::GET, vec![(HEADER, "1")]),
        ] {
            assert_eq!(judge(None, method.clone(), &headers), 403, "{method} {headers:?}");
        }
        assert_eq!(judge(None, Method::DELETE, &OURS[..2]), 415);
        assert_eq!(judge(None, Method::POST, &with(&[("content-type", "text/plain")])), 415);
    }

    #[test]
    fn under_tls_it_may_have_a_name_and_a_web_page_may_not_use_it_all_the_same() {
        let judge =
            |headers: &[_]| judge_as(Guard { token: None, encrypted: true }, Method::POST, headers);
        assert_eq!(judge(&with(&[("host", "stoop.example:2807")])), 200);
        assert_eq!(judge(&with(&[("origin", "https://stoop.example:2807")])), 403);
        assert_eq!(judge(&[("host", "127.0.0.1:2807"), ("content-type", "application/json")]), 403);
    }

    #[test]
    fn with_a_token_nobody_is_let_in_without_it() {
        let shown = |value| judge(Some("s3cret"), Method::GET, &with(&[("authorization", value)]));
        assert_eq!((shown("Bearer s3cret"), shown("bearer s3cret")), (200, 200));
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer", "Basic s3cret", "s3cret"] {
            assert_eq!(shown(wrong), 401, "{wrong}");
        }
        assert_eq!(judge(Some("s3cret"), Method::GET, &OURS), 401);
        let page = with(&[("authorization", "Bearer s3cret"), ("origin", "https://e.example")]);
        assert_eq!(judge(Some("s3cret"), Method::POST, &page), 403);
    }
}
