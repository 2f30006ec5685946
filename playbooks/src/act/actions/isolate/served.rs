//! Which stronger kinds of policy a cluster serves: asked once in a while, not for every pod.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

use super::tier::Tier;
use crate::act::{api::Api, outcome::Failure};

/// How long an answer is believed: a plugin that is installed meanwhile is found after that.
const BELIEVED: Duration = Duration::from_secs(60);

/// The API server's last answer.
#[derive(Debug, Default)]
pub(in crate::act) struct Served(Mutex<Option<(Instant, Vec<Tier>)>>);

impl Served {
    /// What it serves. Who asks while another does waits for that answer.
    pub(super) async fn tiers(&self, api: &Api) -> Result<Vec<Tier>, Failure> {
        let mut known = self.0.lock().await;
        if let Some((_, tiers)) = known.as_ref().filter(|(asked, _)| asked.elapsed() < BELIEVED) {
            return Ok(tiers.clone());
        }
        let tiers = ask(api).await?;
        *known = Some((Instant::now(), tiers.clone()));
        Ok(tiers)
    }

    /// Asks anew next time.
    pub(super) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

/// What it serves now.
pub(super) async fn ask(api: &Api) -> Result<Vec<Tier>, Failure> {
    let found = api.served(&Tier::ALL.map(Tier::kind)).await?;
    Ok(Tier::ALL.into_iter().filter(|tier| found.contains(&tier.kind())).collect())
}
