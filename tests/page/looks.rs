//! How the page looks, and to whom: contrast, names, widths, both themes; and its pictures for the documentation.

use std::path::Path;

use playbooks::decide::Priority;
use serde_json::json;

use crate::{
    browser::{Tab, Theme},
    stage::{MINER, SHELL, Stage},
};

const VIEWS: [&str; 5] = ["live", "responses", "letters", "lag", "playbooks"];
const API: &str = "Contact K8s API Server From Container";

/// Each text that is seen with less contrast than WCAG AA wants, with its colours.
const FAINT: &str = "(() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const rgba = (css) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
    const over = (top, under) => { const a = top[3] / 255; return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a)).concat(255); };
    const behind = (e) => { const all = []; for (let at = e; at; at = at.parentElement) all.push(rgba(getComputedStyle(at).backgroundColor)); return all.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 255]); };
    const light = (c) => { const l = c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2]; };
    const faint = [];
    for (const e of document.querySelectorAll('body *')) {
        if (!e.checkVisibility({ opacityProperty: true }) || e.closest('.unseen, .skip, :disabled')) continue;
        if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
        const style = getComputedStyle(e);
        const ground = behind(e);
        const [a, b] = [light(over(rgba(style.color), ground)), light(ground)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
        if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)}: ${e.tagName}.${e.className} ${e.innerText.slice(0, 40)}`);
    }
    return faint;
})()";

/// What makes the page wider than the window, if anything does.
const WIDE: &str = "(() => {
    const page = document.documentElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    const reaches = (e) => e.getBoundingClientRect().right > page.clientWidth && e.checkVisibility();
    return [`${page.scrollWidth}`, ...[...document.querySelectorAll('body *')].filter(reaches).map((e) => `${e.tagName}.${e.className}#${e.id}`)];
})()";

/// A worker on which everything that the page can show has happened.
async fn busy() -> Stage {
    let stage = Stage::set(json!({"allow": ["approve", "revert", "redrive", "drop"]})).await;
    for pod in ["web-5d9c-x7k2m", "web-5d9c-q4t8z", "cart-77f6-lm2pw", "api-6b4d-9vv5n"] {
        stage.pod(pod);
    }
    stage.happen(SHELL, "web-5d9c-x7k2m", Priority::Notice).await;
    stage.response("shell-in-container", "Succeeded").await;
    stage.happen(API, "api-6b4d-9vv5n", Priority::Warning).await;
    stage.happen("Strange outbound connection", "cart-77f6-lm2pw", Priority::Error).await;
    let mut old = stage.event(SHELL, "web-5d9c-q4t8z", Priority::Notice).await;
    old["time"] = "2026-01-01T00:00:00Z".into();
    stage.post(&old).await;
    stage.happen(MINER, "cart-77f6-lm2pw", Priority::Critical).await;
    stage.response("asks-first", "Pending").await;
    stage
}

async fn show(tab: &Tab, view: &str) {
    tab.click(&format!("a[href='#{view}']")).await;
    tab.until(&format!("!document.querySelector('#{view}').innerText.includes('Asking')")).await;
    if view == "live" {
        tab.until("texts('#live .open').length >= 5 && !texts('#live .chip').some((word) => word.includes('working'))").await;
    }
}

/// Opens the details of the first in a list, where it has any.
async fn open_first(tab: &Tab, view: &str) {
    let css = format!("#view-{view} .open");
    if tab.value(&format!("document.querySelector('{css}') !== null")).await == true {
        tab.click(&css).await;
        tab.until(&format!("!document.querySelector('#view-{view} aside').hidden")).await;
    }
}

async fn ask_something(tab: &Tab) {
    show(tab, "responses").await;
    tab.click("[data-key^='revert-']").await;
    tab.shows("dialog .undo", "label").await;
}

#[tokio::test]
async fn text_can_be_read_in_both_themes_and_nothing_is_wider_than_the_window() {
    let stage = busy().await;
    let tab = Tab::open(&stage.control, "/").await;
    for theme in [Theme::Light, Theme::Dark] {
        tab.theme(theme).await;
        for (width, height) in [(1280, 800), (390, 844)] {
            tab.size(width, height).await;
            for view in VIEWS {
                show(&tab, view).await;
                open_first(&tab, view).await;
                let text = tab.value("document.body.innerText").await.to_string();
                assert!(!text.contains("[object") && !text.contains("undefined"), "{view}: {text}");
                let faint = tab.value(FAINT).await;
                assert_eq!(faint, json!([]), "{view} {theme:?} {width}");
                assert_eq!(tab.value(WIDE).await, json!([]), "{view} {width}");
            }
            ask_something(&tab).await;
            assert_eq!(tab.value(FAINT).await, json!([]), "a question, {theme:?}");
            tab.key("Escape").await;
        }
    }
    assert_eq!(tab.complaints(), [] as [String; 0]);
    let elsewhere: Vec<_> = tab
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&format!("{}/", tab.origin)))
        .collect();
    assert!(elsewhere.iter().all(|url| url == "about:blank"), "{elsewhere:?}");
}

#[tokio::test]
async fn a_screen_reader_has_a_name_for_everything_and_is_told_what_comes() {
    let stage = busy().await;
    let tab = Tab::open(&stage.control, "/").await;
    for view in VIEWS {
        show(&tab, view).await;
        open_first(&tab, view).await;
        let controls = tab.controls().await;
        let roles: Vec<_> = controls.iter().map(|(role, _)| role.as_str()).collect();
        assert!(roles.contains(&"navigation") && roles.contains(&"link"), "{controls:?}");
        let nameless: Vec<_> = controls.iter().filter(|(_, name)| name.trim().is_empty()).collect();
        assert_eq!(nameless, [] as [&(String, String); 0], "{view}");
        let headings = tab.value("[...document.querySelectorAll('h1, h2, h3, h4')].filter((h) => h.checkVisibility()).map((h) => Number(h.tagName[1]))").await;
        let levels: Vec<i64> = serde_json::from_value(headings).unwrap();
        assert!(levels.windows(2).all(|two| two[1] <= two[0] + 1), "{view}: {levels:?}");
    }
    ask_something(&tab).await;
    let dialog =
        |(role, name): &(String, String)| role == "dialog" && name == "Revert shell-in-container?";
    assert!(tab.controls().await.iter().any(dialog));
    tab.key("Escape").await;
    // The first key leads past the navigation.
    tab.value("document.activeElement.blur(); document.querySelector('.skip').focus()").await;
    tab.key("Enter").await;
    assert_eq!(tab.value("document.activeElement.id").await, "main");
    // Once for all that has come meanwhile.
    stage.happen(API, "web-5d9c-x7k2m", Priority::Notice).await;
    tab.until("/event/.test(document.querySelector('#said').textContent)").await;
}

/// Writes docs/images: `cargo test --all-features --test page -- --ignored pictures`.
#[tokio::test]
#[ignore = "writes the pictures of the documentation"]
async fn pictures() {
    let stage = busy().await;
    let tab = Tab::open(&stage.control, "/").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    std::fs::create_dir_all(&folder).unwrap();
    let take = async |name: &str| {
        // Nothing is ringed for those who use a mouse.
        tab.value("document.activeElement.blur(); scrollTo(0, 0)").await;
        let picture = tab.picture().await;
        assert!(picture.len() < 200 << 10, "{name}: {} bytes", picture.len());
        std::fs::write(folder.join(name), picture).unwrap();
    };
    for theme in [Theme::Light, Theme::Dark] {
        tab.theme(theme).await;
        tab.size(1280, 760).await;
        show(&tab, "live").await;
        open_first(&tab, "live").await;
        take(&format!("page-live-{}.png", theme.as_str())).await;
        tab.value(
            "document.querySelectorAll('aside:not([hidden]) .quiet').forEach((b) => b.click())",
        )
        .await;
        ask_something(&tab).await;
        take(&format!("page-revert-{}.png", theme.as_str())).await;
        tab.key("Escape").await;
    }
    tab.theme(Theme::Light).await;
    tab.size(390, 844).await;
    show(&tab, "live").await;
    take("page-phone-light.png").await;
}
