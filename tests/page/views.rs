//! What a person sees and does on the page.

use playbooks::decide::Priority;
use serde_json::{Value, json};

use crate::{
    browser::Tab,
    stage::{MINER, SHELL, Stage, until},
};

fn label(stage: &Stage, pod: &str) -> Value {
    let pods = stage.cluster.pods("shop");
    let pod = pods.iter().find(|it| it["metadata"]["name"] == pod).expect("it is there");
    pod["metadata"]["labels"]["quarantine"].clone()
}

#[tokio::test]
async fn an_event_appears_as_it_comes_with_all_that_became_of_it() {
    let stage = Stage::set(json!({})).await;
    stage.pod("web-1");
    stage.pod("web-2");
    let tab = Tab::open(&stage.control, "/").await;
    tab.shows("#live", "stoop event --rule").await;
    tab.shows("#connection", "Live").await;
    tab.shows("#rights", "Read-only").await;
    tab.shows("#worker", "stoop-7c9f-x2x4q in prod-1").await;

    stage.happen(SHELL, "web-1", Priority::Notice).await;
    tab.shows("#live tr", "shop/web-1").await;
    tab.shows("#live .chips li", "applied").await;
    tab.shows("#live .chips li", "skipped (observe)").await;
    tab.shows("#live td", "acknowledged").await;
    stage.happen(MINER, "web-2", Priority::Critical).await;
    tab.shows("#live .chips li", "waits for approval").await;

    // What is new comes first, and a filter hides what is not wanted.
    assert_eq!(tab.texts("#live .open").await, [MINER, SHELL]);
    tab.value("document.querySelector('#find').focus()").await;
    tab.write("WEB-1").await;
    tab.until("texts('#live .open').length === 1").await;
    assert_eq!(tab.texts("#live .open").await, [SHELL]);
    tab.value("document.querySelector('#find').value = ''").await;
    let choose = "document.querySelector('#outcome').value = 'failed'; document.querySelector('#outcome').dispatchEvent(new Event('change'))";
    tab.value(choose).await;
    tab.shows("#none", "None of the events").await;
    tab.value(&choose.replace("'failed'", "''")).await;

    // The whole way of one, and back to where one was.
    tab.until("texts('#live .open').length === 2").await;
    tab.tab_to(SHELL).await;
    tab.key("Enter").await;
    tab.shows("#way", "label").await;
    tab.shows("#way .way", "Settled").await;
    assert_eq!(tab.value("document.activeElement.id").await, "way-title");
    tab.tab_to("Close the details").await;
    tab.key("Enter").await;
    assert_eq!(tab.value("focused()").await, SHELL);

    // What changes does so under the focus, and leaves it.
    stage.pod("web-3");
    let again = stage.event(SHELL, "web-3", Priority::Notice).await;
    for _ in 0..2 {
        stage.post(&again).await;
        tab.shows("#live tr", "shop/web-3").await;
        tab.value("document.querySelector('#live .open').focus()").await;
    }
    tab.click("#live .open").await;
    tab.shows("#way", "Seen 2 times").await;
    tab.click("#way .quiet").await;
    assert_eq!(tab.value("focused()").await, SHELL);

    // While it is paused nothing moves under one's eyes.
    tab.click("#pause").await;
    stage.happen(SHELL, "web-2", Priority::Notice).await;
    tab.shows("#pause", "1 new").await;
    assert_eq!(tab.texts("#live .open").await.len(), 3);
    tab.click("#pause").await;
    tab.until("texts('#live .open').length === 4").await;
    assert_eq!(tab.complaints(), [] as [String; 0]);
}

#[tokio::test]
async fn a_response_is_approved_by_the_keyboard_alone() {
    let stage = Stage::set(json!({"allow": ["approve"]})).await;
    stage.pod("web-1");
    stage.happen(MINER, "web-1", Priority::Critical).await;
    stage.response("asks-first", "Pending").await;
    let tab = Tab::open(&stage.control, "/").await;
    tab.tab_to("Responses 1 waiting for an answer").await;
    tab.key("Enter").await;
    tab.tab_to("Approve asks-first on shop/web-1").await;
    tab.key("Enter").await;
    tab.shows("dialog", "verifies the target again").await;
    // Esc is a no, and the question is asked again.
    tab.key("Escape").await;
    tab.until("focused() === 'Approve asks-first on shop/web-1'").await;
    stage.response("asks-first", "Pending").await;
    tab.key("Enter").await;
    tab.until("document.querySelector('dialog').open").await;
    tab.tab_to("Approve").await;
    tab.key("Enter").await;
    tab.shows("#responses .chip", "succeeded").await;
    until("the pod is deleted", async || {
        stage
            .cluster
            .pods("shop")
            .iter()
            .all(|pod| pod["metadata"]["deletionTimestamp"].is_string())
    })
    .await;
}

#[tokio::test]
async fn a_revert_shows_what_would_be_taken_back_and_asks() {
    let stage = Stage::set(json!({"allow": ["revert"]})).await;
    stage.pod("web-1");
    stage.happen(SHELL, "web-1", Priority::Notice).await;
    stage.response("shell-in-container", "Succeeded").await;
    assert_eq!(label(&stage, "web-1"), "yes");
    let tab = Tab::open(&stage.control, "/#responses").await;
    tab.tab_to("Revert… shell-in-container on shop/web-1").await;
    tab.key("Enter").await;
    tab.shows("dialog .undo", "label of shop/web-1").await;
    assert_eq!(label(&stage, "web-1"), "yes", "asking changes nothing");
    tab.key("Escape").await;
    tab.until("focused() === 'Revert… shell-in-container on shop/web-1'").await;
    assert_eq!(label(&stage, "web-1"), "yes", "nor does a no");
    tab.key("Enter").await;
    tab.until("document.querySelector('dialog[open] button[type=submit]:enabled')").await;
    tab.tab_to("Revert").await;
    tab.key("Enter").await;
    tab.shows("#responses .chip", "reverted").await;
    assert_eq!(label(&stage, "web-1"), Value::Null);
}

#[tokio::test]
async fn without_leave_there_is_nothing_to_press_and_a_way_is_told() {
    let stage = Stage::set(json!({})).await;
    stage.pod("web-1");
    stage.happen(MINER, "web-1", Priority::Critical).await;
    stage.happen("Strange", "web-1", Priority::Notice).await;
    let tab = Tab::open(&stage.control, "/#responses").await;
    tab.shows("#responses .hint", "stoop responses approve NAME").await;
    assert_eq!(tab.texts("#responses td button").await, ["asks-first"]);
    tab.click("a[href='#letters']").await;
    tab.shows("#letters .open", "Strange").await;
    tab.shows("#letters .hint", "stoop dlq redrive").await;
    assert_eq!(tab.texts("#letters td button").await, ["Strange"]);
}

#[tokio::test]
async fn what_an_event_says_is_text_whatever_it_says() {
    let stage = Stage::set(json!({})).await;
    stage.pod("web-1");
    let tab = Tab::open(&stage.control, "/").await;
    let mut event = stage.event("Strange", "web-1", Priority::Notice).await;
    let markup = "<img src=x onerror=\"globalThis.hacked=1\"><script>globalThis.hacked=1</script>";
    event["rule"] = format!("Strange {markup} \u{202e}gpj.exe\u{1b}[31m\u{200b}").into();
    event["output"] = format!("{markup}{}", "A".repeat(900_000)).into();
    event["source"] = "javascript:globalThis.hacked=1".into();
    stage.post(&event).await;
    tab.shows("#live .open", "<img src=x onerror=").await;
    let shown = &tab.texts("#live .open").await[0];
    assert!(shown.contains(r"\u{202e}gpj.exe\u{1b}[31m\u{200b}"), "{shown}");
    tab.click("#live .open").await;
    tab.shows("#way .said", "<script>").await;
    assert!(tab.texts("#way .said").await[0].len() < 2000);

    tab.click("a[href='#letters']").await;
    tab.shows("#letters .open", "<img src=x onerror=").await;
    tab.click("#letters .open").await;
    tab.shows("#letter pre", "<script>").await;
    for hidden in ["\u{202e}", "\u{200b}", "\u{1b}"] {
        let text = tab.value("document.body.textContent").await;
        assert!(!text.as_str().unwrap().contains(hidden), "{hidden:?}");
    }
    assert_eq!(tab.value("globalThis.hacked ?? null").await, Value::Null);
    assert_eq!(
        tab.value("document.querySelectorAll('main img, main script, main a').length").await,
        0
    );
    assert_eq!(tab.complaints(), [] as [String; 0]);
}

#[tokio::test]
async fn the_token_is_asked_for_and_shown_with_every_question() {
    let stage = Stage::set(json!({"token": "s3cret"})).await;
    let tab = Tab::open(&stage.control, "/").await;
    tab.shows("dialog", "wants its token").await;
    tab.write("guess").await;
    tab.key("Enter").await;
    tab.shows("dialog", "That was not it").await;
    tab.write("s3cret").await;
    tab.key("Enter").await;
    tab.shows("#connection", "Live").await;
    assert_eq!(tab.value("document.cookie").await, "");
    tab.ask("Page.reload", json!({})).await;
    tab.shows("#connection", "Live").await;
    // It is this tab's, and can be forgotten.
    tab.until("!document.querySelector('#forget').hidden").await;
    tab.click("#forget").await;
    tab.shows("dialog", "wants its token").await;
}

#[tokio::test]
async fn an_event_that_is_handed_back_is_not_called_passed_over() {
    let stage = Stage::set(json!({})).await;
    let tab = Tab::open(&stage.control, "/").await;
    let word = async |how: &str| {
        let event =
            json!({"responses": [], "settled": {"how": how, "answers": [], "passedOver": null}});
        let came = format!("came({{...{event}, responses: new Map()}}, 'p').word");
        tab.value(&format!("import('/page/feed.js').then(({{ came }}) => {came})")).await
    };
    for (how, wanted) in
        [("acked", "not its"), ("handed-back", "left"), ("fenced", "left"), ("unknown", "left")]
    {
        assert_eq!(word(how).await, wanted, "{how}");
    }
}

#[tokio::test]
async fn it_says_since_when_it_hears_nothing_and_goes_on_by_itself() {
    let mut stage = Stage::set(json!({})).await;
    stage.pod("web-1");
    let tab = Tab::open(&stage.control, "/").await;
    stage.happen(SHELL, "web-1", Priority::Notice).await;
    tab.shows("#live td", "acknowledged").await;
    stage.kill().await;
    tab.shows("#connection", "Disconnected since").await;
    assert_eq!(tab.texts("#live .open").await, [SHELL], "what is known stays");
    stage.start().await;
    tab.until("document.querySelector('#connection').innerText.trim() === 'Live'").await;
    stage.pod("web-2");
    stage.happen(SHELL, "web-2", Priority::Notice).await;
    tab.shows("#live tr", "shop/web-2").await;
    assert_eq!(tab.texts("#live .open").await, [SHELL, SHELL]);
}
