//! The page: plain files, as a browser takes them. Nothing is built, and nothing comes from anywhere else.
//!
//! What lives here: the files, and the paths that they have. `index.html` is the frame; each view is a module of its own.
//! What may not: a value from an event in anything but a text node.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type, content.
const FILES: [(&str, &str, &str); 16] = [
    ("/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/page/style.css", STYLE, include_str!("style.css")),
    ("/page/lists.css", STYLE, include_str!("lists.css")),
    ("/page/panels.css", STYLE, include_str!("panels.css")),
    ("/page/widths.css", STYLE, include_str!("widths.css")),
    ("/page/icon.svg", "image/svg+xml", include_str!("icon.svg")),
    ("/page/main.js", SCRIPT, include_str!("main.js")),
    ("/page/api.js", SCRIPT, include_str!("api.js")),
    ("/page/dom.js", SCRIPT, include_str!("dom.js")),
    ("/page/text.js", SCRIPT, include_str!("text.js")),
    ("/page/feed.js", SCRIPT, include_str!("feed.js")),
    ("/page/events.js", SCRIPT, include_str!("events.js")),
    ("/page/responses.js", SCRIPT, include_str!("responses.js")),
    ("/page/letters.js", SCRIPT, include_str!("letters.js")),
    ("/page/status.js", SCRIPT, include_str!("status.js")),
    ("/page/dialog.js", SCRIPT, include_str!("dialog.js")),
];

pub(super) fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async move || ([(CONTENT_TYPE, kind)], text)))
    })
}
