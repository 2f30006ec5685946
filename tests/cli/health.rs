//! `stoop health`, as a container's health check calls it.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use crate::stage::Stage;

/// A port that answers one request so.
fn answering(status: &'static str, body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let _ = stream.read(&mut [0; 4096]);
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .expect("it is told");
    });
    port
}

fn asked(port: u16, arguments: &[&str]) -> (Option<i32>, String) {
    // As a worker's own configuration has it, which listens everywhere.
    let stage =
        Stage::empty().file("stoop.yaml", &format!("health: {{listen: \"0.0.0.0:{port}\"}}\n"));
    let ran = stage.run(&[&["health"], arguments].concat());
    (ran.code, ran.out)
}

#[test]
fn a_ready_worker_is_0_and_one_that_waits_is_1_and_says_for_what() {
    let ready = answering("200 OK", r#"{"ready":true,"waiting":[]}"#);
    assert_eq!(asked(ready, &[]), (Some(0), "ready\n".to_owned()));
    let body = r#"{"ready":false,"waiting":["subscription falco: connecting"]}"#;
    let waits = answering("503 Service Unavailable", body);
    let said = "waits: subscription falco: connecting\n".to_owned();
    assert_eq!(asked(waits, &[]), (Some(1), said));
}

#[test]
fn whether_it_lives_is_another_question_and_nobody_there_is_a_1() {
    assert_eq!(asked(answering("200 OK", "ok\n"), &["--live"]), (Some(0), "ok\n".to_owned()));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let (code, said) = asked(port, &[]);
    assert!(code == Some(1) && said.starts_with("no worker answers"), "{said}");
}
