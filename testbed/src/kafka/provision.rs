//! Fetches Apache Kafka: its jars, as Maven resolves them from the pom beside this crate's sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{cache, error::Error, progress::progress, tool::Tool};

const VERSION: &str = "4.1.1";
const POM: &str = include_str!("../../kafka/pom.xml");
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const MAVEN: Tool = Tool {
    command: "mvn",
    wanted_for: "fetching Kafka",
    install: "Apache Maven (Debian: apt-get install maven), or name a running broker in STOOP_TEST_KAFKA",
};

/// The folder with Kafka's jars, fetched first if need be. Blocks.
///
/// # Errors
/// If Maven is missing or can't fetch them.
pub fn provision() -> Result<PathBuf, Error> {
    cache::ensure(&cache::versioned("kafka", VERSION, [POM]), fetch)
}

fn fetch(into: &Path) -> Result<(), Error> {
    progress(&format!("fetching Apache Kafka {VERSION} (54 MB)"));
    let pom = into.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::file("write", &pom))?;
    MAVEN.run(
        "fetching Kafka with Maven",
        MAVEN
            .command()
            .args(["--batch-mode", "--no-transfer-progress", "--file"])
            .arg(&pom)
            .arg(COPY)
            .arg(format!("-DoutputDirectory={}", into.display()))
            .arg("-DincludeScope=runtime"),
    )
}
