//! The tokens that workers show the broker, and who renews them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

/// How long a token is good for. A starting worker needs one that is.
const LIFE: Duration = Duration::from_secs(20);
const RENEWED: Duration = Duration::from_secs(2);

/// Keeps a file with a token that is good, as long as it is awake.
pub struct Keeper {
    folder: TempDir,
    awake: watch::Sender<bool>,
    renewing: JoinHandle<()>,
}

impl Keeper {
    pub fn start() -> Self {
        let (folder, awake) = (tempfile::tempdir().unwrap(), watch::Sender::new(true));
        renew(folder.path());
        let (path, mut told) = (folder.path().to_owned(), awake.subscribe());
        let renewing = tokio::spawn(async move {
            while told.wait_for(|awake| *awake).await.is_ok() {
                renew(&path);
                tokio::time::sleep(RENEWED).await;
            }
        });
        Self { folder, awake, renewing }
    }

    pub fn file(&self) -> PathBuf {
        file(self.folder.path())
    }

    /// The token that is there now is the last one.
    pub fn fall_asleep(&self) {
        self.awake.send_replace(false);
    }

    pub fn wake_up(&self) {
        self.awake.send_replace(true);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("token")
}

/// Whole or not at all: a worker may be reading it.
fn renew(folder: &Path) {
    let now = Timestamp::now().as_second();
    let claims =
        format!(r#"{{"sub":"stoop","iat":{},"exp":{}}}"#, now - 60, now + LIFE.as_secs() as i64);
    let token = format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(claims));
    let partial = folder.join("partial");
    fs::write(&partial, token).unwrap();
    fs::rename(partial, file(folder)).unwrap();
}
