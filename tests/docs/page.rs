//! A page: its text, its fenced blocks, its headings and its links.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) struct Page {
    /// Seen from the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

pub(crate) struct Block {
    /// Where it begins, for who has to mend it.
    pub(crate) place: String,
    pub(crate) language: String,
    pub(crate) text: String,
}

/// The book, and what stands beside it in the repository's first folder.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec![];
    below(&root().join("docs"), &mut paths);
    paths.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    paths.sort();
    let page = |path: PathBuf| Page {
        text: fs::read_to_string(&path).expect("a page"),
        path: path.strip_prefix(root()).expect("it is below").to_owned(),
    };
    paths.into_iter().map(page).collect()
}

fn below(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            below(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

impl Page {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (at, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (fence, &mut open) {
                (Some(language), None) => {
                    let place = format!("{}:{}", self.path.display(), at + 1);
                    let language = language.trim().to_owned();
                    open = Some(Block { place, language, text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block without an end", self.path.display());
        blocks
    }

    /// Its lines outside of blocks, with their numbers.
    pub(crate) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut inside = false;
        self.text.lines().enumerate().filter_map(move |(at, line)| {
            let fence = line.trim_start().starts_with("```");
            inside ^= fence;
            (!inside && !fence).then_some((at + 1, line))
        })
    }

    pub(crate) fn headings(&self) -> Vec<&str> {
        let heading = |(_, line): (usize, &'_ str)| -> Option<usize> {
            line.starts_with('#').then(|| line.as_ptr() as usize - self.text.as_ptr() as usize)
        };
        let line = |at: usize| self.text[at..].lines().next().unwrap_or_default();
        self.prose()
            .filter_map(heading)
            .map(line)
            .map(|line| line.trim_start_matches('#').trim())
            .collect()
    }

    /// As GitHub makes them of headings.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for heading in self.headings() {
            let plain = heading.replace(['`', '*'], "");
            let kept = plain.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let anchor: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
            let before = anchors.iter().filter(|known| **known == anchor).count();
            anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
        }
        anchors
    }

    /// What its links lead to, with the line of each.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (at, line) in self.prose() {
            // What stands in a code span is no link.
            let spans = line.split('`').enumerate();
            let text: String =
                spans.map(|(at, part)| if at % 2 == 0 { part } else { "code" }).collect();
            for rest in text.split("](").skip(1) {
                let target = rest.split(')').next().unwrap_or_default();
                links.push((at, target.split(' ').next().unwrap_or_default().to_owned()));
            }
        }
        links
    }

    /// The text below a heading, up to the next of its level.
    pub(crate) fn section(&self, heading: &str) -> Option<&str> {
        let start = format!("\n## {heading}\n");
        let (_, rest) = self.text.split_once(&start)?;
        Some(rest.split("\n## ").next().unwrap_or(rest))
    }
}
