//! Who may use the control port, and what it says to the others.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::{
    certificates::Authority,
    desk::{Desk, client},
};

/// A request as the tool sends it.
fn ours(desk: &Desk, method: Method, path: &str) -> RequestBuilder {
    theirs(desk, method, path).header("stoop-control", "1").json(&serde_json::json!({}))
}

/// A request without what the tool adds.
fn theirs(desk: &Desk, method: Method, path: &str) -> RequestBuilder {
    client().request(method, format!("http://{}/v1/journals{path}", desk.control.address()))
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn no_web_page_can_read_or_change_anything() {
    let desk = Desk::new("");
    let worker = desk.work().await;
    desk.post("One").await;
    let letters = desk.has_letters(1).await;
    let letter = format!("/intake/dead-letters/{}", letters[0]["place"].as_str().unwrap());
    let redrive = format!("{letter}/redrive");
    for (what, request) in [
        ("a form", theirs(&desk, Method::POST, &redrive).body("{}")),
        ("a fetch", theirs(&desk, Method::POST, &redrive).json(&serde_json::json!({}))),
        ("a page", ours(&desk, Method::POST, &redrive).header("origin", "https://evil.example")),
        ("a name of its own", ours(&desk, Method::DELETE, &letter).header("host", "evil.example")),
        ("a link", theirs(&desk, Method::GET, "/intake/dead-letters")),
    ] {
        assert_eq!(status(request).await, 403, "{what}");
    }
    // What a browser asks before it sends a header of ours: nobody is allowed to.
    let preflight = theirs(&desk, Method::OPTIONS, &letter)
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "DELETE");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    assert_eq!(desk.letters().await, letters);

    assert_eq!(status(ours(&desk, Method::DELETE, &letter)).await, 204);
    assert!(desk.letters().await.is_empty());
    worker.leave().await;
}

#[tokio::test]
async fn the_list_can_be_filtered_and_goes_on_where_it_ended() {
    let desk = Desk::new("");
    let worker = desk.work().await;
    for rule in ["One", "Two", "One"] {
        desk.post(rule).await;
    }
    desk.has_letters(3).await;
    let ask = async |query: &str| {
        let path = format!("/intake/dead-letters{query}");
        let answer = ours(&desk, Method::GET, &path).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (_, ones) = ask("?rule=One&reason=failed").await;
    assert_eq!((ones["items"].as_array().unwrap().len(), &ones["total"]), (2, &3.into()));
    let first = ones["items"][0]["place"].as_str().unwrap();
    let (_, rest) = ask(&format!("?after={first}")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    assert_eq!(ask(&format!("/{first}")).await.1["place"], first);
    assert_eq!(ask("/99").await.0, 410);
    assert_eq!(ask("/x").await.0, 400);
    assert_eq!(ask("?rool=One").await.0, 400);
    assert_eq!(ask("?after=18446744073709551615").await.0, 200);
    let other = ours(&desk, Method::GET, "/other/dead-letters");
    assert_eq!(status(other).await, 404);
    worker.leave().await;
}

#[tokio::test]
async fn with_a_token_nobody_is_let_in_without_it() {
    let desk = Desk::new(", token: s3cret");
    let worker = desk.work().await;
    desk.post("One").await;
    desk.has_letters(1).await;
    assert_eq!(status(ours(&desk, Method::GET, "")).await, 401);
    assert_eq!(status(ours(&desk, Method::GET, "").bearer_auth("s3cre")).await, 401);
    assert_eq!(status(ours(&desk, Method::GET, "").bearer_auth("s3cret")).await, 200);
    worker.leave().await;
}

#[tokio::test]
async fn beyond_loopback_it_is_refused_without_a_token_or_the_clients_authority() {
    for control in ["", ", tls: {certificate: server.pem, key: server.key}"] {
        let desk = Desk::new(control);
        let variable = [("STOOP_CONTROL__LISTEN", "0.0.0.0:0")];
        let refused = desk.call_with(&["run"], &variable).await;
        assert_eq!(refused.code, 2);
        assert!(refused.err.contains("control.token or control.tls.clientCa"), "{refused:?}");
    }
}

const LIST: [&str; 4] = ["dlq", "list", "--output", "json"];

/// A worker that serves HTTPS to clients of an authority of theirs, beyond loopback too, and what `stoop dlq` is let in with.
fn mutual() -> (Desk, Authority) {
    let tls = ", tls: {certificate: server.pem, key: server.key, clientCa: clients.pem}";
    let client =
        ", client: {ca: servers.pem, name: worker.example, certificate: tool.pem, key: tool.key}";
    let desk = Desk::new(&format!("{tls}{client}"));
    let (servers, clients) = (Authority::new(), Authority::new());
    desk.write("servers.pem", &servers.pem());
    desk.write("clients.pem", &clients.pem());
    servers.issue(&desk, "server", "worker.example");
    clients.issue(&desk, "tool", "tool");
    (desk, servers)
}

#[tokio::test]
async fn with_the_clients_authority_the_tool_is_let_in_by_its_certificate() {
    let (desk, _) = mutual();
    let everywhere = format!("0.0.0.0:{}", desk.control.number());
    let variables = [("STOOP_CONTROL__LISTEN", everywhere.as_str())];
    let worker = desk.work_with(&variables).await;
    desk.post("One").await;
    desk.has_letters(1).await;
    assert_eq!(desk.call_with(&LIST, &variables).await.code, 0, "under its name there too");
    desk.must(&["dlq", "drop", "--all", "--yes"]).await;
    assert!(desk.letters().await.is_empty());
    worker.leave().await;
}

#[tokio::test]
async fn nobody_else_is_let_in_and_each_is_told_what_to_set() {
    let (desk, servers) = mutual();
    let worker = desk.work().await;
    let plain = ours(&desk, Method::GET, "").send().await;
    assert!(plain.is_err(), "HTTP is not understood: {plain:?}");

    servers.issue(&desk, "stranger", "tool");
    let client = |more: &str| format!("{{ca: servers.pem, name: worker.example{more}}}");
    for (client, setting) in [
        (client(""), "`control.client.certificate`"),
        (client(", certificate: stranger.pem, key: stranger.key"), "`control.tls.clientCa`"),
        (client(", certificate: nowhere.pem, key: tool.key"), "nowhere.pem"),
        (
            "{name: worker.example, certificate: tool.pem, key: tool.key}".to_owned(),
            "`control.client.ca`",
        ),
        (
            "{ca: servers.pem, certificate: tool.pem, key: tool.key}".to_owned(),
            "`control.client.name`",
        ),
    ] {
        let refused = desk.call_with(&LIST, &[("STOOP_CONTROL__CLIENT", &client)]).await;
        assert_eq!(refused.code, 2, "{client}: {refused:?}");
        assert!(refused.err.contains(setting), "{client}: {refused:?}");
    }
    desk.letters().await;
    worker.leave().await;
}
