use super::*;

const OURS: [(&str, &str); 3] =
    [("host", "127.0.0.1:2807"), (HEADER, "1"), ("content-type", "application/json")];

const DOORS: [Door; 2] = [Door::Tools, Door::Page];

const PLAIN: Guard = Guard { token: None, encrypted: false };

fn judge(guard: &Guard, door: Door, method: Method, headers: &[(&str, &str)]) -> u16 {
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        all.append(name, value.parse().unwrap());
    }
    guard.judge(door, &method, &all).map_or_else(|refusal| refusal.0.as_u16(), |()| 200)
}

/// Ours with these in place of those of their names.
fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = OURS.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    kept.chain(more).copied().collect()
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    OURS.into_iter().filter(|(other, _)| *other != name).collect()
}

#[test]
fn a_tool_on_this_machine_is_let_in() {
    for door in DOORS {
        for host in ["127.0.0.1:2807", "localhost:2807", "LOCALHOST", "[::1]:2807", "10.0.0.1"] {
            let headers = with(&[("host", host)]);
            assert_eq!(judge(&PLAIN, door, Method::POST, &headers), 200, "{door:?} {host}");
        }
        assert_eq!(judge(&PLAIN, door, Method::GET, &OURS[..2]), 200);
    }
}

#[test]
fn its_own_page_is_let_in_where_pages_are() {
    for (host, origin) in [
        ("127.0.0.1:2807", "http://127.0.0.1:2807"),
        ("localhost:2807", "http://localhost:2807"),
        ("LocalHost:2807", "http://localhost:2807"),
        ("[::1]:2807", "http://[::1]:2807"),
        // Where somebody else speaks TLS for us.
        ("10.0.0.1", "https://10.0.0.1"),
    ] {
        let page = with(&[("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")]);
        assert_eq!(judge(&PLAIN, Door::Page, Method::POST, &page), 200, "{origin}");
        assert_eq!(judge(&PLAIN, Door::Tools, Method::POST, &page), 403, "{origin}");
        // An older browser, or an address that it doesn't trust.
        let page = with(&[("host", host), ("origin", origin)]);
        assert_eq!(judge(&PLAIN, Door::Page, Method::POST, &page), 200, "{origin}");
        assert_eq!(judge(&PLAIN, Door::Tools, Method::POST, &page), 403, "{origin}");
    }
    let read = with(&[("sec-fetch-site", "same-origin")]);
    assert_eq!(judge(&PLAIN, Door::Page, Method::GET, &read), 200);
    assert_eq!(judge(&PLAIN, Door::Tools, Method::GET, &read), 403);
}

/// What a hostile page can have a browser send, with what it would have to guess already right.
#[test]
fn another_web_page_is_not_whatever_it_can_send() {
    let hostile = [
        // A form, an image, a fetch without a preflight: they have no header of ours.
        without(HEADER),
        // After a preflight that somebody would answer.
        with(&[("origin", "https://evil.example")]),
        with(&[("origin", "null")]),
        with(&[("origin", "")]),
        with(&[("sec-fetch-site", "cross-site")]),
        with(&[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:2807")]),
        // Another port of the same machine is the same site, and another origin.
        with(&[("sec-fetch-site", "same-site")]),
        with(&[("origin", "http://127.0.0.1:8080")]),
        with(&[("origin", "http://127.0.0.1")]),
        with(&[("origin", "http://localhost:2807")]),
        with(&[("origin", "http://127.0.0.1:2807.evil.example")]),
        with(&[("origin", "http://evil.example/http://127.0.0.1:2807")]),
        with(&[("origin", "file://127.0.0.1:2807")]),
        // Two, of which one is ours.
        with(&[("origin", "http://127.0.0.1:2807"), ("origin", "https://evil.example")]),
        with(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]),
        // Opened by a person, and so not by our page.
        with(&[("sec-fetch-site", "none")]),
        // A name of the page's own that resolves to loopback: to the browser it is the same origin.
        with(&[("host", "evil.example:2807")]),
        with(&[
            ("host", "evil.example:2807"),
            ("origin", "http://evil.example:2807"),
            ("sec-fetch-site", "same-origin"),
        ]),
        with(&[("host", "127.0.0.1.evil.example")]),
        with(&[("host", "localhost.evil.example:2807")]),
        without("host"),
    ];
    for headers in hostile {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
            for door in DOORS {
                let judged = judge(&PLAIN, door, method.clone(), &headers);
                assert_eq!(judged, 403, "{door:?} {method} {headers:?}");
            }
        }
    }
    for door in DOORS {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let form = with(&[("content-type", kind)]);
            assert_eq!(judge(&PLAIN, door, Method::POST, &form), 415, "{kind}");
        }
        assert_eq!(judge(&PLAIN, door, Method::DELETE, &without("content-type")), 415);
    }
}

#[test]
fn under_tls_it_may_have_a_name_and_another_web_page_may_not_use_it_all_the_same() {
    let guard = Guard { token: None, encrypted: true };
    let named = ("host", "stoop.example:2807");
    for door in DOORS {
        let judge = |headers: &[_]| judge(&guard, door, Method::POST, headers);
        assert_eq!(judge(&with(&[named])), 200);
        assert_eq!(judge(&with(&[named, ("origin", "https://evil.example")])), 403);
        // Whoever could speak for us without TLS is not us.
        assert_eq!(judge(&with(&[named, ("origin", "http://stoop.example:2807")])), 403);
        assert_eq!(judge(&without(HEADER)), 403);
    }
    let page = with(&[named, ("origin", "https://stoop.example:2807")]);
    assert_eq!(judge(&guard, Door::Page, Method::POST, &page), 200);
    assert_eq!(judge(&guard, Door::Tools, Method::POST, &page), 403);
}

#[test]
fn with_a_token_nobody_is_let_in_without_it() {
    let guard = Guard { token: Some("s3cret".into()), encrypted: false };
    for door in DOORS {
        let shown = |value| judge(&guard, door, Method::GET, &with(&[("authorization", value)]));
        assert_eq!((shown("Bearer s3cret"), shown("bearer s3cret")), (200, 200));
        for wrong in ["Bearer s3cre", "Bearer s3cret2", "Bearer", "Basic s3cret", "s3cret"] {
            assert_eq!(shown(wrong), 401, "{wrong}");
        }
        assert_eq!(judge(&guard, door, Method::GET, &OURS), 401);
        let page = with(&[("authorization", "Bearer s3cret"), ("origin", "https://e.example")]);
        assert_eq!(judge(&guard, door, Method::POST, &page), 403);
        // What a browser adds by itself is no token.
        let cookie = with(&[("cookie", "token=s3cret; authorization=Bearer s3cret")]);
        assert_eq!(judge(&guard, door, Method::GET, &cookie), 401);
    }
}
