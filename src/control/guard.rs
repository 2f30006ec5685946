//! Who may use the control port. A pure decision on the request's head.
//!
//! It has to hold against the web pages that the operator's own browser shows: they can send requests to loopback, also
//! under a name of their own that resolves to it. So every request needs a header that a page can't set for another
//! origin; none may come from another origin than the port's own; and without a token the host has to be an address,
//! unless TLS is spoken, for then a name that isn't in the certificate leads nowhere. Nothing is let in by a cookie, so
//! there is none that a browser could add to somebody else's request.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, Method, StatusCode,
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

/// What a browser says of where a request comes from. No page can set it.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request has to show.
pub(super) struct Guard {
    token: Option<SecretString>,
    /// Whether the port speaks TLS. Who has no certificate that it may want gets no request through.
    encrypted: bool,
}

/// Whom a part of the port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Commands. No browser sends anything there.
    Tools,
    /// The port's own page, and who asks as it does.
    Page,
}

impl Guard {
    pub(super) fn new(control: &config::Control) -> Result<Self, Error> {
        let token = control.token.as_ref().map(settings::Secret::read).transpose();
        let token = token.map_err(|e| Error::Configuration(format!("`control.token`: {e}")))?;
        Ok(Self { token, encrypted: control.tls.is_some() })
    }

    fn judge(&self, door: Door, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
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
        let from_elsewhere = match door {
            Door::Tools => headers.contains_key(ORIGIN) || headers.contains_key(SITE),
            Door::Page => !self.is_same_origin(headers),
        };
        if from_elsewhere {
            return refuse("no other web page may use the control port");
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

    /// Whether no browser says that it comes from another origin; what is no browser says nothing. An older one, or one
    /// that doesn't trust the address, leaves out the one or the other, but names an origin wherever something is changed.
    fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_ours = |origin: &str| match origin.split_once("://") {
            // TLS may end before us.
            Some(("https", authority)) => authority.eq_ignore_ascii_case(host),
            Some(("http", authority)) => !self.encrypted && authority.eq_ignore_ascii_case(host),
            _ => false,
        };
        headers.get_all(SITE).iter().all(|site| site == "same-origin")
            && headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(is_ours))
    }
}

/// Lets a request through, or answers why not.
pub(super) async fn admit(
    State((guard, door)): State<(Arc<Guard>, Door)>,
    request: Request,
    next: Next,
) -> Response {
    match guard.judge(door, request.method(), request.headers()) {
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
mod tests;
