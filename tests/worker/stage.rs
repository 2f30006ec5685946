//! An action from outside, `play`, that does what a test tells it to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use playbooks::act::{Action, ConfigError, Context, Outcome, Registry, Subject, read_config};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;

/// What the parts of `play` do, and what they did.
pub struct Stage {
    cues: Mutex<HashMap<String, VecDeque<Cue>>>,
    played: Mutex<Vec<String>>,
    curtain: Semaphore,
}

/// What a part does when it is played.
pub enum Cue {
    Say(Outcome),
    /// Waits for the curtain, and is applied then.
    Wait,
    Crash,
}

impl Stage {
    pub fn new() -> Arc<Stage> {
        let (cues, played) = Default::default();
        Arc::new(Stage { cues, played, curtain: Semaphore::new(0) })
    }

    /// What a part does the next times; without a cue it is applied.
    pub fn cue(&self, part: &str, cues: impl IntoIterator<Item = Cue>) {
        self.cues.lock().unwrap().entry(part.to_owned()).or_default().extend(cues);
    }

    /// How often a part has begun to be played.
    pub fn played(&self, part: &str) -> usize {
        self.played.lock().unwrap().iter().filter(|played| *played == part).count()
    }

    /// Lets everybody go on who waits, or ever will.
    pub fn raise_curtain(&self) {
        self.curtain.close();
    }

    /// The actions of stoop, and `play: {part: NAME, target: BOOL, sends: BOOL}`.
    pub fn registry(self: &Arc<Self>) -> Registry {
        let stage = self.clone();
        Registry::standard().with("play", move |config, _| play(&stage, config))
    }
}

fn play(stage: &Arc<Stage>, config: &Value) -> Result<Arc<dyn Action>, ConfigError> {
    let part = read_config(config)?;
    Ok(Arc::new(Play { stage: stage.clone(), part }))
}

struct Play {
    stage: Arc<Stage>,
    part: Part,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    part: String,
    #[serde(default)]
    target: bool,
    /// It sends the event on, and changes nothing.
    #[serde(default)]
    sends: bool,
}

#[async_trait]
impl Action for Play {
    fn name(&self) -> &'static str {
        "play"
    }

    fn describe(&self) -> String {
        format!("play {}", self.part.part)
    }

    fn needs_target(&self) -> bool {
        self.part.target
    }

    fn changes_cluster(&self) -> bool {
        !self.part.sends
    }

    fn answers_each_event(&self) -> bool {
        self.part.sends
    }

    fn within_namespace(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    async fn apply(&self, _: &Context<'_>, _: Subject<'_>) -> Outcome {
        let part = &self.part.part;
        self.stage.played.lock().unwrap().push(part.clone());
        let cue = self.stage.cues.lock().unwrap().get_mut(part).and_then(VecDeque::pop_front);
        match cue {
            None => Outcome::Applied(format!("played {part}")),
            Some(Cue::Say(outcome)) => outcome,
            Some(Cue::Crash) => panic!("{part} breaks the worker, as it was told to"),
            Some(Cue::Wait) => {
                assert!(self.stage.curtain.acquire().await.is_err(), "it is only ever closed");
                Outcome::Applied(format!("played {part}"))
            }
        }
    }
}
