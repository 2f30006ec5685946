//! The logs of each container, and of each that ran before it.

use std::pin::pin;

use bytes::Bytes;
use futures::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use tokio::time::Instant;

use super::{gather::Source, redact, tail::Tail};
use crate::act::{api::ApiError, outcome::Failure};

/// How many lines are asked for: the kubelet counts them from the end.
const LINES: usize = 100_000;

/// How much is read for each byte that is kept. The kubelet cuts the end off, so that it has to be more than is kept.
const READ: usize = 16;

const CHUNK: usize = 16 << 10;

/// One log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Which {
    container: String,
    /// Of the container's run before this one.
    previous: bool,
}

impl Which {
    /// The name of the file that it is kept in: containers have DNS labels for names, which have no dots, so that no
    /// other container's log can have it.
    pub(super) fn file(&self) -> String {
        let previous = if self.previous { ".previous" } else { "" };
        format!("log-{}{previous}.txt", self.container)
    }
}

/// The end of a log, without secrets.
pub(super) struct Log {
    pub(super) text: Bytes,
    pub(super) cut: Option<String>,
}

/// All logs of a pod that there can be.
pub(super) fn of(pod: &Pod) -> Vec<Which> {
    let Some(status) = &pod.status else { return Vec::new() };
    let statuses = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let mut all = Vec::new();
    for status in statuses.into_iter().flatten().flatten() {
        let which = |previous| Which { container: status.name.clone(), previous };
        all.push(which(false));
        if status.restart_count > 0 {
            all.push(which(true));
        }
    }
    all
}

/// The last `most` bytes of a log, as far as they come in time.
pub(super) async fn read(
    source: &Source<'_>,
    pod: &str,
    which: &Which,
    most: usize,
    until: Instant,
) -> Result<Log, ApiError> {
    if most == 0 {
        return Err(Failure::permanent("`total` leaves nothing for it").into());
    }
    let limit = most.saturating_mul(READ);
    let params = LogParams {
        container: Some(which.container.clone()),
        previous: which.previous,
        tail_lines: i64::try_from(LINES).ok(),
        limit_bytes: i64::try_from(limit).ok(),
        timestamps: true,
        ..LogParams::default()
    };
    let api = source.api.until(until);
    let asked = api.call(|client| async move {
        let pods = kube::Api::<Pod>::namespaced(client, source.namespace);
        pods.log_stream(pod, &params).await
    });
    let mut stream = pin!(asked.await?);
    let (mut tail, mut chunk, mut read, mut lines) = (Tail::new(most), vec![0; CHUNK], 0, 0);
    let broke_off = loop {
        match tokio::time::timeout_at(until, stream.read(&mut chunk)).await {
            Ok(Ok(0)) => break None,
            Ok(Ok(size)) => {
                let data = chunk.get(..size).unwrap_or_default();
                tail.push(data);
                read += size;
                lines += data.iter().filter(|byte| **byte == b'\n').count();
            }
            Ok(Err(_)) => break Some("the connection broke off"),
            Err(_) => break Some("no more came in time"),
        }
        // A server that does not keep to the limit.
        if read >= limit {
            break Some("the end is cut off: more was logged than is read");
        }
    };
    let (end, is_cut) = tail.end();
    let text = redact::text(&String::from_utf8_lossy(&end)).into_owned();
    let cut = match broke_off {
        Some(why) => Some(why.to_owned()),
        None if is_cut => Some(format!("cut at {most} bytes: the last of it")),
        None => (lines >= LINES).then(|| format!("cut at {LINES} lines: the last of it")),
    };
    Ok(Log { text: text.into_bytes().into(), cut })
}
