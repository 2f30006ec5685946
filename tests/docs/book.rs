//! The book as a whole: every page is in its contents, every link leads to something.

use std::{collections::BTreeSet, path::Path};

use crate::page::{Page, pages, root};

/// What a block may be: told to be one of these, it is read or run, or plainly text.
const LANGUAGES: [&str; 4] = ["yaml", "console", "json", "text"];

fn page<'a>(pages: &'a [Page], path: &Path) -> Option<&'a Page> {
    pages.iter().find(|page| page.path == path)
}

#[test]
fn every_page_is_in_the_contents_once_and_is_reached_from_the_first() {
    let pages = pages();
    let contents = page(&pages, Path::new("docs/SUMMARY.md")).expect("the contents");
    let mut listed: Vec<_> = contents.links().into_iter().map(|(_, target)| target).collect();
    listed.sort();
    let below = pages.iter().filter_map(|page| page.path.strip_prefix("docs").ok());
    let mut there: Vec<_> = below.map(|path| path.display().to_string()).collect();
    there.retain(|path| path != "SUMMARY.md");
    there.sort();
    assert_eq!(listed, there, "docs/SUMMARY.md on the left, the folder on the right");
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_that_are_there() {
    let pages = pages();
    let mut broken = Vec::new();
    let mut seen = 0;
    for from in &pages {
        for (line, target) in from.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, anchor) = target
                .split_once('#')
                .map_or((&target[..], None), |(path, anchor)| (path, Some(anchor)));
            let to = match path {
                "" => from.path.clone(),
                path => plain(&from.path.parent().expect("a folder").join(path)),
            };
            let found = root().join(&to).exists()
                && anchor.is_none_or(|anchor| {
                    page(&pages, &to)
                        .is_some_and(|page| page.anchors().iter().any(|it| it == anchor))
                });
            if !found {
                broken.push(format!("{}:{line}: {target}", from.path.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(seen > 100, "{seen} links were looked at");
}

/// Without `..`.
fn plain(path: &Path) -> std::path::PathBuf {
    path.components().fold(std::path::PathBuf::new(), |mut plain, part| {
        match part.as_os_str() == ".." {
            true => drop(plain.pop()),
            false => plain.push(part),
        }
        plain
    })
}

#[test]
fn every_block_says_what_it_is() {
    let known: BTreeSet<_> = LANGUAGES.into();
    for page in pages() {
        for block in page.blocks() {
            let language = block.language.as_str();
            assert!(
                known.contains(language),
                "{}: `{language}` is none of {LANGUAGES:?}",
                block.place
            );
            if language == "json" {
                let read = serde_json::from_str::<serde_json::Value>(&block.text);
                assert!(read.is_ok(), "{}: {read:?}", block.place);
            }
        }
    }
}
