//! One ledger as a worker uses it: whoever waits at the same time is served by the same write.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::oneshot, time::sleep};

use super::{
    ledger::{Asked, MOST, Said},
    place::{Known, Place, Written},
};
use crate::act::{api::Api, outcome::Failure};

/// How long a no may be repeated without a look: a spent budget is read so often at most.
const FRESH: Duration = Duration::from_secs(1);

/// How often other workers may win the race before it is left to a later try.
const ROUNDS: u32 = 50;

/// A token, or in words why there is none.
pub(super) type Answer = Result<Result<(), String>, Failure>;

/// One ledger, and who waits for it.
#[derive(Debug)]
pub(super) struct Book {
    place: Place,
    waiting: Mutex<Vec<Waiting>>,
    /// The ledger as it was last seen. Whoever has the lock serves all who wait.
    known: tokio::sync::Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Waiting {
    asked: Asked,
    answer: oneshot::Sender<Answer>,
}

impl Book {
    pub(super) fn new(place: Place) -> Book {
        Book { place, waiting: Mutex::default(), known: tokio::sync::Mutex::default() }
    }

    /// Takes a token.
    ///
    /// Nothing is taken before the API server has said that it is written. Where its word doesn't come the token may be
    /// out all the same: the next try finds it paid. So does one that comes after this future was dropped.
    pub(super) async fn take(&self, api: &Api, asked: &Asked) -> Answer {
        loop {
            let (sender, mut answer) = oneshot::channel();
            self.waiting().push(Waiting { asked: asked.clone(), answer: sender });
            let mut known = tokio::select! {
                biased;
                answered = &mut answer => match answered {
                    Ok(answered) => return answered,
                    // Whoever served us was stopped in the middle of it.
                    Err(_) => continue,
                },
                known = self.known.lock() => known,
            };
            let all = std::mem::take(&mut *self.waiting());
            // Those who have left pay for nothing.
            let all: Vec<_> = all.into_iter().filter(|one| !one.answer.is_closed()).collect();
            let answers = self.serve(api, &mut known, &all).await;
            for (one, answered) in all.into_iter().zip(answers) {
                // Who has left meanwhile finds it paid when it comes back.
                let _ = one.answer.send(answered);
            }
            drop(known);
            if let Ok(answered) = answer.await {
                return answered;
            }
        }
    }

    /// How many tokens are out in the purse where most are. While it is being written that is not known.
    pub(super) fn most(&self, now: Timestamp) -> usize {
        let known = self.known.try_lock().ok();
        known
            .and_then(|known| known.as_ref().map(|known| known.ledger.most(now)))
            .unwrap_or_default()
    }

    async fn serve(&self, api: &Api, known: &mut Option<Known>, all: &[Waiting]) -> Vec<Answer> {
        match self.race(api, known, all).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(failure) => all.iter().map(|_| Err(failure.clone())).collect(),
        }
    }

    /// Asks for all, and writes once: for the very version that was read, or again.
    async fn race(
        &self,
        api: &Api,
        last: &mut Option<Known>,
        all: &[Waiting],
    ) -> Result<Vec<Result<(), String>>, Failure> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        for round in 0..ROUNDS {
            // Only what is put back at the end is known: an error, or being dropped, leaves nothing.
            let (known, is_fresh) = match last.take() {
                Some(known) => {
                    let is_fresh = known.read.elapsed() < FRESH;
                    (known, is_fresh)
                }
                None => (self.place.read(api).await?, true),
            };
            let now = Timestamp::now();
            let mut ledger = known.ledger.clone();
            ledger.prune(now);
            let said: Vec<_> = all.iter().map(|one| ledger.ask(&one.asked, now)).collect();
            // A no is never said from memory alone: somebody may have taken the object away.
            if !is_fresh && said.iter().any(|said| matches!(said, Said::Spent(_) | Said::Full)) {
                continue;
            }
            if !said.contains(&Said::Granted) {
                *last = Some(known);
                return Ok(self.answers(&said));
            }
            match self.place.write(api, ledger, known.version).await? {
                Written::Done(known) => {
                    *last = Some(known);
                    return Ok(self.answers(&said));
                }
                Written::Raced => sleep(pause(round, now)).await,
            }
        }
        Err(Failure::transient(format!("{} does not come to rest", self.place)))
    }

    fn answers(&self, said: &[Said]) -> Vec<Result<(), String>> {
        let answer = |said: &Said| match said {
            Said::Paid | Said::Granted => Ok(()),
            Said::Spent(wait) => {
                let wait = humantime::format_duration(Duration::from_secs(wait.as_secs() + 1));
                Err(format!("free again in {wait}"))
            }
            Said::Full => Err(format!("{} holds {MOST} tokens already", self.place)),
        };
        said.iter().map(answer).collect()
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A little longer each round, and not the same for everybody.
fn pause(round: u32, now: Timestamp) -> Duration {
    let spread = now.subsec_nanosecond().unsigned_abs() / 1000;
    Duration::from_millis(u64::from(spread % (4 + 2 * round)))
}
