//! A bucket on loopback that speaks what this crate uses of S3: conditional PUT, GET, HEAD, lists of DELETEs, and signed URLs whose
//! signed headers have to be there. The signature itself is not computed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use object_store::{aws::AmazonS3Builder, path::Path};
use reqwest::Url;

use crate::act::evidence::{
    Evidence, config,
    link::{Link, Signed},
};

pub(super) const SECRET: &str = "wJalrXUtnFEMI";

#[derive(Default)]
struct Inside {
    objects: BTreeMap<String, Bytes>,
    lose: usize,
    refuse: Option<u16>,
}

#[derive(Clone)]
pub(super) struct Bucket {
    inside: Arc<Mutex<Inside>>,
    address: String,
}

impl Bucket {
    pub(super) async fn start() -> Bucket {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let bucket = Bucket { inside: Arc::default(), address };
        let router = Router::new().fallback(answer).with_state(bucket.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        bucket
    }

    pub(super) fn evidence(&self) -> Evidence {
        config::install_provider();
        let store = AmazonS3Builder::new()
            .with_bucket_name("evidence")
            .with_region("us-east-1")
            .with_endpoint(&self.address)
            .with_allow_http(true)
            .with_access_key_id("AKIAIOSFODNN7EXAMPLE")
            .with_secret_access_key(SECRET)
            .with_retry(config::retry())
            .build();
        let store = Arc::new(store.unwrap());
        let link = Link::Signed(Signed::s3(store.clone()));
        Evidence::new(store, Path::from("prefix"), "s3://evidence/prefix".into(), link)
    }

    /// The next PUTs are carried out, and answered as if they had not been.
    pub(super) fn lose_answers(&self, count: usize) {
        self.inside.lock().unwrap().lose = count;
    }

    pub(super) fn refuse_all(&self, status: u16) {
        self.inside.lock().unwrap().refuse = Some(status);
    }
}

async fn answer(
    State(bucket): State<Bucket>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = bucket.inside.lock().unwrap();
    if let Some(status) = inside.refuse {
        return error(StatusCode::from_u16(status).unwrap(), "Refused");
    }
    if !is_signed(&bucket.address, &uri, &headers) {
        return error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch");
    }
    let key = uri.path().to_owned();
    match method {
        Method::PUT => {
            if headers.contains_key(header::IF_NONE_MATCH) && inside.objects.contains_key(&key) {
                return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
            }
            inside.objects.insert(key, body);
            if inside.lose > 0 {
                inside.lose -= 1;
                return error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
            }
            (StatusCode::OK, [(header::ETAG, "\"etag\"")]).into_response()
        }
        Method::GET | Method::HEAD => match inside.objects.get(&key) {
            Some(data) => {
                let told = [
                    (header::ETAG, "\"etag\""),
                    (header::LAST_MODIFIED, "Sat, 21 Nov 2026 12:00:00 GMT"),
                ];
                (StatusCode::OK, told, data.clone()).into_response()
            }
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        // Deletes go by lists.
        Method::POST => {
            let text = String::from_utf8_lossy(&body).into_owned();
            let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            let mut deleted = String::new();
            for key in keys {
                inside.objects.remove(&format!("/evidence/{key}"));
                deleted.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
            }
            (StatusCode::OK, format!("<DeleteResult>{deleted}</DeleteResult>")).into_response()
        }
        _ => error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
    }
}

/// As S3 judges of a signed URL: every header that was signed has to be there.
fn is_signed(address: &str, uri: &Uri, headers: &HeaderMap) -> bool {
    if headers.contains_key(header::AUTHORIZATION) {
        return true;
    }
    let Ok(url) = Url::parse(&format!("{address}{uri}")) else { return false };
    let query: BTreeMap<_, _> = url.query_pairs().collect();
    let signed = query.get("X-Amz-SignedHeaders");
    query.contains_key("X-Amz-Signature")
        && signed.is_some_and(|signed| signed.split(';').all(|name| headers.contains_key(name)))
}

fn error(status: StatusCode, code: &str) -> Response {
    let text =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    (status, text).into_response()
}
