//! Who may publish: whoever shows the token.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::rejection::{Refusal, Rejection};

/// What a request has to show.
pub(super) struct Guard(Option<SecretString>);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Guard(token)" } else { "Guard(open)" })
    }
}

impl Guard {
    pub(super) fn new(token: Option<SecretString>) -> Self {
        Self(token)
    }

    /// Lets a request in that shows the token as Bearer, or as the password of Basic: a URL's userinfo is all that some
    /// publishers can send.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.0 else { return Ok(()) };
        let Some(shown) = headers.get(AUTHORIZATION) else {
            return Err(Rejection::Unauthorized
                .because("a token is wanted, as Bearer or as the password of Basic"));
        };
        let token = token.expose_secret().as_bytes();
        let right = shown_token(shown).is_some_and(|shown| bool::from(shown.ct_eq(token)));
        match right {
            true => Ok(()),
            false => Err(Rejection::Unauthorized.because("the token is wrong")),
        }
    }
}

fn shown_token(header: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(rest).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(header: Option<&str>) -> bool {
        let guard = Guard::new(Some("s3cret:with colon".into()));
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        guard.admit(&headers).is_ok()
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    #[test]
    fn the_token_opens_as_bearer_and_as_any_users_password() {
        assert!(admitted(Some("Bearer s3cret:with colon")));
        assert!(admitted(Some("bearer  s3cret:with colon")));
        assert!(admitted(Some(&basic("falcosidekick:s3cret:with colon"))));
        assert!(admitted(Some(&basic(":s3cret:with colon"))));
    }

    #[test]
    fn nothing_else_does() {
        assert!(!admitted(None));
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer s3cret", "Digest s3cret:with colon", "Basic ?"]
        {
            assert!(!admitted(Some(wrong)), "{wrong}");
        }
        assert!(!admitted(Some(&basic("s3cret:with colon"))));
        assert!(!admitted(Some(&basic("s3cret:with colon:"))));
        assert!(!admitted(Some(&basic("no colon"))));
    }

    #[test]
    fn without_a_token_everybody_is_let_in() {
        assert!(Guard::new(None).admit(&HeaderMap::new()).is_ok());
    }
}
