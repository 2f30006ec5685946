//! What the intake answers, and what it lets in.

use brokers::{
    Ledger as _, Receiver as _,
    journal::{Capacity, Config, Journal, Rejection},
};
use futures::{FutureExt, future::join_all};
use settings::{ByteSize, Secret};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Served, client, config, letter, object, open};

async fn opened() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&config(folder.path())).await;
    (folder, journal)
}

fn rejected(journal: &Served, rejection: Rejection) -> u64 {
    journal.monitor.rejected().find(|(r, _)| *r == rejection).map(|(_, count)| count).unwrap()
}

/// Status and text.
async fn answer(journal: &Served, body: impl Into<reqwest::Body>) -> (u16, String) {
    let response = journal.post(body).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn what_is_no_event_is_refused_with_the_reason() {
    let (_folder, journal) = opened().await;
    for (body, reason) in [
        ("", "EOF"),
        ("no json", "expected"),
        ("7", "an event is an object"),
        ("{\"a\":", "EOF"),
        ("[]", "the array holds no event"),
        ("[{}", "the array is not JSON"),
        ("[{},{\"a\":1},7]", "element 2 of the array: an event is an object"),
    ] {
        let (status, text) = answer(&journal, body).await;
        assert_eq!(status, 400, "{body}");
        assert!(text.contains(reason), "{body}: {text}");
    }
    assert_eq!(answer(&journal, &b"\xff\xfe"[..]).await.0, 400);
    assert_eq!(answer(&journal, "[".repeat(100_000)).await.0, 400);
    assert_eq!(rejected(&journal, Rejection::Malformed), 9);
    // Not even the array's good elements.
    assert_eq!(journal.monitor.depth().unsettled.messages, 0);
    journal.close().await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_however_it_is_sent() {
    let (_folder, mut journal) = opened().await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(10 << 20));
    let (status, text) = answer(&journal, large.clone()).await;
    assert_eq!(status, 413);
    assert!(text.contains("1048576 bytes"), "{text}");
    let address = journal.url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = "10000\r\n".to_owned() + &"x".repeat(0x1_0000) + "\r\n";
    stream.write_all(piece.repeat(160).as_bytes()).await.unwrap();
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert_eq!(rejected(&journal, Rejection::TooLarge), 2);
    // Up to the limit it is an event like any other.
    let limit = 1 << 20;
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(limit - 8));
    assert_eq!(fits.len(), limit);
    journal.publish(fits.clone()).await;
    assert_eq!(journal.done().await.payload, fits);
    journal.close().await;
}

#[tokio::test]
async fn the_token_is_taken_as_bearer_or_as_the_password_of_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let token = Some(Secret::literal("s3cret"));
    let journal = open(&Config { token, ..config(folder.path()) }).await;
    let post = || client().post(&journal.url).body("{}");
    assert_eq!(post().bearer_auth("s3cret").send().await.unwrap().status(), 200);
    let with_userinfo = journal.url.replace("http://", "http://falcosidekick:s3cret@");
    let response = client().post(with_userinfo).body("{}").send().await.unwrap();
    assert_eq!(response.status(), 200);
    for refused in [
        post(),
        post().bearer_auth("wrong"),
        post().basic_auth("s3cret", None::<&str>),
        post().basic_auth("s3cret", Some("wrong")),
        post().header("authorization", "s3cret"),
    ] {
        let response = refused.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers().contains_key("www-authenticate"));
    }
    assert_eq!(rejected(&journal, Rejection::Unauthorized), 5);
    assert_eq!(journal.monitor.depth().unsettled.messages, 2);
    journal.close().await;
}

#[tokio::test]
async fn a_full_journal_says_so_and_takes_more_once_something_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let capacity = Capacity { messages: 10, bytes: ByteSize::mib(1) };
    let config = Config { capacity, ..config(folder.path()) };
    let mut journal = open(&config).await;
    // All at once: what is on its way to the disk counts as well.
    let answers = join_all((0..30).map(|_| journal.post("{}"))).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.status() == 200);
    assert_eq!((taken.len(), refused.len()), (10, 20));
    assert!(refused.iter().all(|a| a.status() == 503 && a.headers().contains_key("retry-after")));
    assert_eq!(rejected(&journal, Rejection::Full), 20);

    journal.done().await;
    journal.done().await;
    assert_eq!(answer(&journal, "[{},{},{}]").await.0, 503, "all of an array, or none");
    assert_eq!(answer(&journal, "[{},{}]").await.0, 200);
    let never = "[{}".to_owned() + &",{}".repeat(10) + "]";
    assert_eq!(answer(&journal, never).await.0, 413, "not even into an empty journal");
    journal.close().await;

    // A new process counts what it finds.
    let mut journal = open(&config).await;
    assert_eq!(answer(&journal, "{}").await.0, 503);
    journal.done().await;
    assert_eq!(answer(&journal, "{}").await.0, 200);
    journal.close().await;
}

#[tokio::test]
async fn dead_letters_fill_up_beside_the_events_and_never_close_the_intake() {
    let folder = tempfile::tempdir().unwrap();
    let capacity = Capacity { messages: 3, bytes: ByteSize::mib(1) };
    let config = Config { capacity, ..config(folder.path()) };
    let mut journal = open(&config).await;
    for _ in 0..3 {
        journal.publish("{}").await;
        let (message, key) = journal.next().await;
        journal.ledger.dead_letter(&key, &message, &letter("failed")).await.unwrap();
    }
    journal.publish("[{},{},{}]").await;
    let (message, key) = journal.next().await;
    let full = journal.ledger.dead_letter(&key, &message, &letter("failed")).await.unwrap_err();
    assert!(matches!(full, brokers::DeadLetterError::Unavailable(_)));
    assert_eq!(journal.monitor.depth().unsettled.messages, 3, "it is not settled");
    assert_eq!(journal.monitor.depth().dead.messages, 3);
    assert_eq!(journal.ledger.ack(&key).await, brokers::Settled::Durable, "it was still there");
    journal.close().await;

    // A new process counts what it finds.
    let mut journal =
        open(&Config { capacity: Capacity { messages: 4, ..capacity }, ..config }).await;
    let (message, key) = journal.next().await;
    journal.ledger.dead_letter(&key, &message, &letter("failed")).await.unwrap();
    let (message, key) = journal.next().await;
    journal.ledger.dead_letter(&key, &message, &letter("failed")).await.unwrap_err();
    journal.close().await;
}

#[tokio::test]
async fn bytes_fill_a_journal_too() {
    let folder = tempfile::tempdir().unwrap();
    let capacity = Capacity { messages: 1000, bytes: ByteSize::bytes(100) };
    let body_limit = ByteSize::bytes(100);
    let mut journal = open(&Config { capacity, body_limit, ..config(folder.path()) }).await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(52));
    assert_eq!(answer(&journal, body.clone()).await.0, 200);
    assert_eq!(answer(&journal, body.clone()).await.0, 503);
    journal.done().await;
    assert_eq!(answer(&journal, body).await.0, 200);
    journal.close().await;
}

#[tokio::test]
async fn other_methods_and_paths_are_told_apart() {
    let (_folder, journal) = opened().await;
    let about = client().get(&journal.url).send().await.unwrap();
    assert_eq!(about.status(), 200);
    assert!(about.text().await.unwrap().contains("POST"));
    assert_eq!(client().put(&journal.url).body("{}").send().await.unwrap().status(), 405);
    let elsewhere = format!("{}events", journal.url);
    assert_eq!(client().post(elsewhere).body("{}").send().await.unwrap().status(), 404);
    journal.close().await;
}

#[tokio::test]
async fn one_connection_carries_many_requests_pipelined_too() {
    let (_folder, journal) = opened().await;
    let address = journal.url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}";
    for together in [1, 1, 5] {
        stream.write_all(&request.repeat(together)).await.unwrap();
        let mut seen = String::new();
        while seen.matches("HTTP/1.1 200 OK").count() < together || !seen.ends_with("\r\n\r\n") {
            let mut buffer = [0; 1024];
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "hung up after {seen}");
            seen += std::str::from_utf8(&buffer[..read]).unwrap();
        }
    }
    assert_eq!(journal.monitor.depth().unsettled.messages, 7);
    drop(stream);
    journal.close().await;
}

#[tokio::test]
async fn a_stopped_intake_ends_what_is_under_way_and_accepts_nothing_new() {
    let (_folder, mut journal) = opened().await;
    let address = journal.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n").await.unwrap();
    stream.write_all(b"expect: 100-continue\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 100"), "the request is under way");
    journal.stop.cancel();
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"{}").await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200"), "{rest}");
    (&mut journal.serving).await.unwrap();
    journal.done().await;
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    journal.ledger.close(end).await.unwrap();
}

#[tokio::test]
async fn an_intake_that_is_no_longer_served_hangs_up() {
    let (_folder, mut journal) = opened().await;
    let address = journal.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    journal.done().await;
    journal.serving.abort();
    let mut rest = Vec::new();
    let hung_up =
        tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut rest));
    hung_up.await.expect("the connection ends").unwrap();
    assert!((&mut journal.serving).await.unwrap_err().is_cancelled());
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn a_closed_journal_takes_nothing() {
    let (_folder, mut journal) = opened().await;
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    journal.ledger.close(end).await.unwrap();
    let response = journal.post("{}").await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(response.headers()["connection"], "close", "another may listen there soon");
    assert!(matches!(journal.receiver.next().now_or_never(), Some(Err(_))));
    journal.stop.cancel();
    journal.serving.await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_and_an_open_door_are_refused() {
    let (_folder, journal) = opened().await;
    let folder = tempfile::tempdir().unwrap();
    let address = journal.url.trim_start_matches("http://").trim_end_matches('/');
    let taken = Config { listen: address.parse().unwrap(), ..config(folder.path()) };
    let error = Journal::open(&taken, object).await.unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains(address), "{error}");
    let everybody = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(folder.path()) };
    let error = Journal::open(&everybody, object).await.unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains("`token`"), "{error}");
    journal.close().await;
}
